package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/apimachinery/pkg/util/wait"
	api "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const (
	// dialTimeout is within what a plugin has to begin to answer after its socket is there,
	// and to say what it is.
	dialTimeout = 10 * time.Second
	// notifyTimeout is within what it has to take what became of its registration.
	notifyTimeout = 5 * time.Second
)

var errGone = errors.New("the socket is gone")

// plugin is one life of a socket: it is registered once, and forgotten once.
type plugin struct {
	socket   string
	file     os.FileInfo
	handlers map[string]Handler
	backoff  wait.Backoff
	log      *slog.Logger

	gone chan struct{} // closed when the socket is
	done chan struct{} // closed after run
}

// run registers the plugin, again and again until it succeeds, and deregisters it when its
// socket is gone. When ctx ends the plugin stays.
func (p *plugin) run(ctx context.Context) {
	life, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.gone:
			cancel(errGone)
		case <-life.Done():
		}
	}()
	for {
		deregister, err := p.register(life)
		if err == nil {
			select {
			case <-p.gone:
				deregister()
				p.log.Info("a plugin is gone", "socket", p.socket)
			case <-ctx.Done():
			}
			return
		}
		if life.Err() != nil {
			return
		}
		delay := p.backoff.Step()
		p.log.Warn("a plugin is not taken up, and is tried again", "socket", p.socket, "after", delay, "error", err)
		select {
		case <-life.Done():
			return
		case <-time.After(delay):
		}
	}
}

// register asks the plugin what it is and hands it to its handler. It returns what forgets
// the plugin again; after an error there is nothing to forget.
func (p *plugin) register(ctx context.Context) (deregister func(), err error) {
	conn, err := grpc.NewClient("unix://"+p.socket, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"), grpc.WithDisableServiceConfig())
	if err != nil {
		return nil, fmt.Errorf("RegisterPlugin error -- dial failed at socket %s, err: %w", p.socket, err)
	}
	defer conn.Close()
	client := api.NewRegistrationClient(conn)
	info, err := p.info(ctx, client)
	if err != nil {
		return nil, err
	}
	handler, known := p.handlers[info.Type]
	if !known {
		return nil, p.refuse(ctx, client, fmt.Errorf("RegisterPlugin error -- no handler registered for plugin type: %s at socket %s", info.Type, p.socket))
	}
	endpoint := info.Endpoint
	if endpoint == "" {
		endpoint = p.socket
	}
	if err := handler.Validate(info.Name, endpoint, info.SupportedVersions); err != nil {
		return nil, p.refuse(ctx, client, fmt.Errorf("RegisterPlugin error -- plugin validation failed with err: %w", err))
	}
	if err := handler.Register(ctx, info.Name, endpoint, info.SupportedVersions); err != nil {
		return nil, p.refuse(ctx, client, fmt.Errorf("RegisterPlugin error -- plugin registration failed with err: %w", err))
	}
	deregister = func() { handler.Deregister(info.Name, endpoint) }
	if err := p.notify(ctx, client, &api.RegistrationStatus{PluginRegistered: true}); err != nil {
		if ctx.Err() == nil || errors.Is(context.Cause(ctx), errGone) { // else only this process ends
			deregister()
		}
		return nil, err
	}
	p.log.Info("a plugin is registered", "socket", p.socket, "type", info.Type, "name", info.Name, "endpoint", endpoint)
	return deregister, nil
}

// info waits until the plugin says what it is: a socket may be there before it is listened
// on.
func (p *plugin) info(ctx context.Context, client api.RegistrationClient) (*api.PluginInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	info, err := client.GetInfo(ctx, &api.InfoRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return nil, fmt.Errorf("RegisterPlugin error -- failed to get plugin info using RPC GetInfo at socket %s, err: %w", p.socket, err)
	}
	return info, nil
}

// refuse tells the plugin why it was not taken up, and returns that.
func (p *plugin) refuse(ctx context.Context, client api.RegistrationClient, why error) error {
	return errors.Join(why, p.notify(ctx, client, &api.RegistrationStatus{Error: why.Error()}))
}

func (p *plugin) notify(ctx context.Context, client api.RegistrationClient, status *api.RegistrationStatus) error {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	if _, err := client.NotifyRegistrationStatus(ctx, status); err != nil {
		return fmt.Errorf("RegisterPlugin error -- failed to send registration status at socket %s, err: %w", p.socket, err)
	}
	return nil
}
