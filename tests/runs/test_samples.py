"""Samples, written and followed."""

from __future__ import annotations

from lab.runs import Run, SampleReader, SampleWriter
from lab.runs.samples import read_samples


def test_samples_are_read_as_they_were_written(run: Run) -> None:
    writer, reader = SampleWriter(run), SampleReader(run)
    assert reader.poll().samples == []
    writer.write(10, "the ", "cat\n", temperature=0.8)
    (first,) = reader.poll().samples
    assert (first["step"], first["prompt"], first["text"], first["temperature"]) == (10, "the ", "cat\n", 0.8)
    writer.write(20, "", "dog")
    assert [sample["step"] for sample in reader.poll().samples] == [20]
    assert [sample["step"] for sample in read_samples(run)] == [10, 20]


def test_lines_that_are_no_sample_are_passed_over(run: Run) -> None:
    run.samples_path.write_text('{"step": 1}\n[]\nnot json\n{"step": 2, "text": "x"}\n{"step": 3, "text": "torn')
    assert [sample["step"] for sample in read_samples(run)] == [2]


def test_a_file_that_began_anew_is_read_anew(run: Run) -> None:
    SampleWriter(run).write(10, "", "a long text that the new file is shorter than")
    reader = SampleReader(run)
    reader.poll()
    run.samples_path.write_text('{"step": 1, "text": "x"}\n')
    found = reader.poll()
    assert (found.reset, [sample["step"] for sample in found.samples]) == (True, [1])
