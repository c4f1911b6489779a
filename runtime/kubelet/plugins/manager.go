package plugins

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Handler has the plugins of one type. It is called for one socket at a time; for different
// sockets, which may bear one name, at once.
type Handler interface {
	// Validate says why a plugin cannot be taken up: its name, the socket on which it
	// serves, the versions of its service that it offers. Nothing has changed then.
	Validate(name, endpoint string, versions []string) error
	// Register takes a plugin up. After an error there is none.
	Register(ctx context.Context, name, endpoint string, versions []string) error
	// Deregister forgets a plugin whose socket is gone or that was not told of its
	// registration.
	Deregister(name, endpoint string)
}

// Config of a Manager.
type Config struct {
	// Dir is the directory of the sockets, made where it is missing. What is below it is
	// looked at too, but for names that begin with a dot.
	Dir string
	// Handlers by the type that plugins say.
	Handlers map[string]Handler
	Log      *slog.Logger
}

// Manager takes up the plugins of a directory.
type Manager struct {
	cfg     Config
	backoff wait.Backoff // between attempts to register

	plugins map[string]*plugin // by socket; of the goroutine of Run
	running sync.WaitGroup
}

// New returns a manager. Nothing is touched before Run.
func New(cfg Config) *Manager {
	return &Manager{
		cfg:     cfg,
		backoff: wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Steps: 1 << 30, Cap: 2*time.Minute + 2*time.Second},
		plugins: map[string]*plugin{},
	}
}

// Run takes plugins up until ctx is done. It leaves them registered: they outlive this
// process.
func (m *Manager) Run(ctx context.Context) {
	defer m.running.Wait()
	for ctx.Err() == nil {
		m.watch(ctx)
	}
}
