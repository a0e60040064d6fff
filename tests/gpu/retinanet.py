"""A detector for a camera: torchvision's RetinaNet-ResNet50-FPN, with random weights."""

import torch
from torchvision.models.detection import retinanet_resnet50_fpn

import video

arguments = video.options(__doc__).parse_args()
torch.manual_seed(0)
if arguments.deterministic:
    torch.use_deterministic_algorithms(True, warn_only=True)
size = {"min_size": arguments.size, "max_size": 2 * arguments.size} if arguments.size else {}
# Untrained, every class has a score near 0.01, its prior. With this threshold the best thousand of
# each level, 5000 boxes, go through NMS; 300 are left.
model = retinanet_resnet50_fpn(weights=None, weights_backbone=None, score_thresh=0.0099,
                               **size)
model.eval().to(arguments.device)


@torch.no_grad()
def detect(frame):
    image = torch.from_numpy(frame.copy()).to(arguments.device).permute(2, 0, 1).float() / 255
    found = model([image])[0]
    return {key: value.cpu().numpy() for key, value in found.items()}


video.Camera(arguments).run("retinanet", detect)
