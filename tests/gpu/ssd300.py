"""A detector for a camera: torchvision's SSD300-VGG16, with random weights."""

import torch
from torchvision.models.detection import ssd300_vgg16

import video

arguments = video.options(__doc__).parse_args()
torch.manual_seed(0)
if arguments.deterministic:
    torch.use_deterministic_algorithms(True, warn_only=True)
# Untrained, some 6000 boxes have a score above this, and all of them go through NMS; 200 are left.
model = ssd300_vgg16(weights=None, weights_backbone=None, score_thresh=0.1)
model.eval().to(arguments.device)


@torch.no_grad()
def detect(frame):
    image = torch.from_numpy(frame.copy()).to(arguments.device).permute(2, 0, 1).float() / 255
    found = model([image])[0]
    return {key: value.cpu().numpy() for key, value in found.items()}


video.Camera(arguments).run("ssd300", detect)
