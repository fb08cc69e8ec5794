#!/usr/bin/env bash
# Makes the builder image box:1 of busybox, in an OCI layout.
mkdir -p files/bin files/s2i files/opt/app files/tmp
cp "$(command -v busybox)" files/bin/busybox
cat > files/s2i/assemble <<'SH'
#!/bin/busybox sh
set -e
echo "built by $(busybox id -u)"
# Until somebody ends it.
[ ! -e /tmp/src/slow ] || busybox sleep 600 || echo woken
busybox cp -r /tmp/src/. /opt/app/
SH
printf '#!/bin/busybox sh\nexec busybox cat /opt/app/hello\n' > files/s2i/run
chmod 755 files/s2i/*
chmod 1777 files/tmp
chown 1001 files/opt/app
umoci init --layout box
umoci new --image box:1
umoci insert --image box:1 files /
umoci config --image box:1 --config.user 1001 --config.env PATH=/bin --config.workingdir /opt/app \
	--config.label io.openshift.s2i.scripts-url=image:///s2i
