# python3 read.py orgami/orgami.json
import json
import sys

with open(sys.argv[1]) as file:
    manifest = json.load(file)
if manifest["schema_version"] != 1 or not manifest["complete"]:
    sys.exit("not a complete manifest of version 1")
for region, image in manifest["images"].items():
    print(region, image["image_id"])
