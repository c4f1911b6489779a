package process

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// notifier tells systemd how the process is (sd_notify(3)).
type notifier struct{ socket string }

// newNotifier takes the socket out of the environment: k8s.io/apiserver, which
// finds it there, says that it is ready as soon as it listens.
func newNotifier() notifier {
	const variable = "NOTIFY_SOCKET"
	socket := os.Getenv(variable)
	os.Unsetenv(variable) //nolint:errcheck // the name is valid
	return notifier{socket}
}

// tell sends a state; a process that systemd did not start has nobody to tell.
func (n notifier) tell(state string) error {
	if n.socket == "" {
		return nil
	}
	name := n.socket
	if rest, abstract := strings.CutPrefix(name, "@"); abstract {
		name = "\x00" + rest
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
