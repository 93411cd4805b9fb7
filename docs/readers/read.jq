# jq --raw-output --from-file read.jq orgami/orgami.json
if .schema_version == 1 and .complete then . else error("not a complete manifest of version 1") end
| .images | to_entries[] | "\(.key) \(.value.image_id)"
