package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"

	"k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/config"
)

// Server is one master's API server.
type Server struct {
	cfg     config.APIServerConfig
	version string
	table   []kind.Kind
	log     *slog.Logger

	loopback atomic.Pointer[http.Client]
	readyURL string
}

// New returns a server of the kinds in table. version is Gantry's own; the API
// reports it behind Kubernetes'. Nothing is opened before Run.
func New(cfg config.APIServerConfig, version string, table []kind.Kind, log *slog.Logger) (*Server, error) {
	if len(table) == 0 {
		return nil, errors.New("the kinds table is empty")
	}
	return &Server{cfg: cfg, version: version, table: table, log: log}, nil
}

// Run serves until ctx is done, then leaves the list of masters, lets requests in
// flight finish, and closes watches.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a, err := s.assemble(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	prepared, err := a.aggregator.PrepareRun()
	if err != nil {
		return fmt.Errorf("prepare to serve: %w", err)
	}
	if err := s.watchReadiness(a.generic.LoopbackClientConfig); err != nil {
		return err
	}
	a.start(ctx)
	return prepared.Run(ctx)
}

func (s *Server) watchReadiness(loopback *rest.Config) error {
	c, err := rest.HTTPClientFor(loopback)
	if err != nil {
		return fmt.Errorf("make the loopback client: %w", err)
	}
	s.readyURL = loopback.Host + "/readyz"
	s.loopback.Store(c)
	return nil
}

// Ready is nil when the server's own /readyz succeeds: etcd answers, the cluster's
// first objects exist, and caches are filled.
func (s *Server) Ready() error {
	c := s.loopback.Load()
	if c == nil {
		return errors.New("the server is being put together")
	}
	resp, err := c.Get(s.readyURL)
	if err != nil {
		return fmt.Errorf("the server does not answer yet: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %s", resp.Status)
	}
	return nil
}
