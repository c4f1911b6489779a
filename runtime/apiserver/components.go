package apiserver

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gantry-run/gantry/runtime/apiserver/registry"
	"github.com/gantry-run/gantry/runtime/config"
)

// componentTimeout bounds the question to a component, as upstream.
const componentTimeout = 20 * time.Second

// components are what a ComponentStatus tells of: the processes beside this one on its
// master, by the ports that they have, and the members of etcd that it is connected to.
// transport is for processes of this server, whose certificates name localhost.
func components(etcd *clientv3.Client, transport http.RoundTripper) []registry.Component {
	out := []registry.Component{
		{Name: "controller-manager", Check: healthzOf(config.ControllerManagerPort, transport)},
		{Name: "scheduler", Check: healthzOf(config.SchedulerPort, transport)},
	}
	for i, endpoint := range etcd.Endpoints() {
		out = append(out, registry.Component{Name: fmt.Sprintf("etcd-%d", i), Check: func(ctx context.Context) (bool, string) {
			ctx, cancel := context.WithTimeout(ctx, componentTimeout)
			defer cancel()
			if _, err := etcd.Status(ctx, endpoint); err != nil {
				return false, err.Error()
			}
			return true, "ok"
		}})
	}
	return out
}

// mostOfAnAnswer is how much of what a component says is passed on, as upstream's probes do.
const mostOfAnAnswer = 10 << 10

// healthzOf asks a process of this server.
func healthzOf(port int, transport http.RoundTripper) func(ctx context.Context) (bool, string) {
	url := "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + "/healthz"
	client := &http.Client{Transport: transport}
	return func(ctx context.Context) (bool, string) {
		ctx, cancel := context.WithTimeout(ctx, componentTimeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false, err.Error()
		}
		resp, err := client.Do(req)
		if err != nil {
			return false, err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, mostOfAnAnswer))
		if err != nil {
			return false, err.Error()
		}
		if resp.StatusCode != http.StatusOK {
			return false, "HTTP probe failed with statuscode: " + strconv.Itoa(resp.StatusCode)
		}
		return true, string(body)
	}
}
