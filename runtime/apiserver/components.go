package apiserver

import (
	"context"
	"crypto/tls"
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
func components(etcd *clientv3.Client) []registry.Component {
	out := []registry.Component{
		{Name: "controller-manager", Check: healthzOf(config.ControllerManagerPort)},
		{Name: "scheduler", Check: healthzOf(config.SchedulerPort)},
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

// healthzOf asks a process of this server. Nothing is sent that would have to be kept
// from one who took the port.
func healthzOf(port int) func(ctx context.Context) (bool, string) {
	url := "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + "/healthz"
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // its certificate is not for 127.0.0.1, and only its word is asked for
		DisableKeepAlives: true,
	}}
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
