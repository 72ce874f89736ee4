#!/bin/sh
# Runs as root in the image, once, while it is baked. PORT comes from the template.
set -eu
echo "PORT=$PORT" > /etc/default/app
systemctl enable app.service
