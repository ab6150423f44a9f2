#!/bin/sh
# Runs after the package is installed: creates the user tuma and makes systemd read the unit. The
# service is not started: it needs a configuration first.
set -e
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers tuma.conf
elif ! getent passwd tuma >/dev/null; then
	useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin tuma
fi
if [ -e /etc/tuma ]; then
	chgrp tuma /etc/tuma
	chmod 0750 /etc/tuma
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
