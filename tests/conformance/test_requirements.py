"""The bookkeeping of conformance is consistent: marks, status files, extracted sentences and the generated page."""

import pytest

from tests.conformance import compliance, extract, requirements

DOCUMENTS = requirements.documents()
MOSTLY_PROVEN = ["RFC3711", "RFC4960", "RFC5764", "RFC6347", "RFC6525", "RFC8445", "RFC8656"]


def all_ids():
    return {sentence["id"] for document in DOCUMENTS for sentence in requirements.read_sentences(document)}


def test_every_document_in_scope_is_extracted():
    assert sorted(extract.DOCUMENTS) == DOCUMENTS


@pytest.mark.parametrize("document", DOCUMENTS)
def test_sentences_are_as_they_were_extracted(document):
    for sentence in requirements.read_sentences(document):
        assert extract.hash_sentence(sentence["sentence"]) == sentence["hash"]
        assert extract.find_level(sentence["sentence"]) == sentence["level"]
        number = int(sentence["id"].split("-")[-2])
        assert extract.make_id(document, sentence["section"], number, sentence["hash"]) == sentence["id"]


def test_ids_are_unique():
    ids = [sentence["id"] for document in DOCUMENTS for sentence in requirements.read_sentences(document)]
    assert len(set(ids)) == len(ids)


def test_every_mark_names_a_requirement():
    assert sorted(set(requirements.read_marks()) - all_ids()) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_status_names_a_requirement_and_says_something(document):
    known = {sentence["id"] for sentence in requirements.read_sentences(document)}
    stated = requirements.read_stated(document)
    assert sorted(set(stated) - set(requirements.STATED)) == []
    for entries in stated.values():
        assert sorted(set(entries) - known) == []
        assert [name for name, note in entries.items() if len(note) < 8] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_sentence_is_judged(document):
    noted = requirements.read_stated(document)["open"]
    silent = [each.id for each in requirements.read_requirements(document) if each.status == "open"]
    assert sorted(set(silent) - set(noted)) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_requirement_has_two_statuses(document):
    stated = requirements.read_stated(document)
    named = [name for status in requirements.STATED for name in stated[status]]
    assert sorted(name for name in named if named.count(name) > 1) == []
    assert sorted(set(named) & set(requirements.read_marks())) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_is_said_to_be_implemented_names_a_file(document):
    for name, note in requirements.read_stated(document)["implemented"].items():
        path = note.split(":")[0].split()[0]
        assert (requirements.ROOT / path).exists(), name


def test_committed_page_is_what_the_data_give():
    is_current = compliance.PAGE.read_text(encoding="utf-8") == compliance.render()
    assert is_current, "python -m tests.conformance.compliance > docs/compliance.md"


@pytest.mark.parametrize("document", MOSTLY_PROVEN)
def test_seven_of_ten_strict_requirements_that_apply_are_proven(document):
    strict = [each for each in requirements.read_requirements(document) if each.is_strict and each.is_applicable]
    proven = [each for each in strict if each.status == "proven"]
    assert len(proven) >= 0.7 * len(strict)
