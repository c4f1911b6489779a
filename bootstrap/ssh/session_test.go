package ssh

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// deaf is a connection that was lost while a channel was opened: it never answers.
type deaf struct{ ssh.Conn }

func (deaf) OpenChannel(string, []byte) (ssh.Channel, <-chan *ssh.Request, error) { select {} }

func TestASessionThatNeverOpensIsGivenUp(t *testing.T) {
	h := &Host{line: &line{name: "h", client: &ssh.Client{Conn: deaf{}}, connectTimeout: 50 * time.Millisecond, commandTimeout: time.Hour, slots: make(chan struct{}, 1), log: slog.New(slog.DiscardHandler)}, alive: context.Background()}
	err := within(t, "the session", func() error {
		_, err := h.Run(context.Background(), host.Command{Argv: []string{"true"}})
		return err
	})
	if !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}
