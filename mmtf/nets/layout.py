"""The order of an image's axes in mmtf's own nets."""

# Images are [N, H, W, C] whatever `image_data_format` of Keras' own settings says.
LAST = {"data_format": "channels_last"}
