"""The web server: the app, access control, long work, the routes, the WebSocket, the endpoints for `gradio_client`."""
