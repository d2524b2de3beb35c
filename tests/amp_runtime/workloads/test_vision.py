from amp_runtime.workloads.vision import load_digits


def test_training_and_validation_share_no_image():
    (images, labels), (held_out, held_labels) = load_digits("cpu")
    assert (len(images), len(held_out)) == (1437, 360)
    assert images.shape[1:] == held_out.shape[1:] == (1, 8, 8)
    assert float(images.min()) == 0
    assert float(images.max()) == 1
    assert sorted(set(labels.tolist())) == sorted(set(held_labels.tolist())) == list(range(10))
