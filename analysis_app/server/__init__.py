"""The web server: the app, who may ask, long work, the routes, the WebSocket, the endpoints for `gradio_client`."""
