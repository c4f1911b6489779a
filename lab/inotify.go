package lab

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// inotifyInstances is enough for a lab of 200 servers.
const inotifyInstances = 8192

// allowInotify raises how many inotify instances a user may have: root of all servers is
// one user, and with the usual 128 the systemd of about the twentieth server ends at once.
func allowInotify() error {
	const path = "/proc/sys/fs/inotify/max_user_instances"
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("how many inotify instances a user may have: %w", err)
	}
	now, err := strconv.Atoi(string(bytes.TrimSpace(data)))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if now >= inotifyInstances {
		return nil
	}
	return os.WriteFile(path, []byte(strconv.Itoa(inotifyInstances)), 0o644)
}
