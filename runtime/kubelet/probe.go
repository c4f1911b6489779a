package kubelet

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probeKind is what the result of a probe is for.
type probeKind string

const (
	startupProbe   probeKind = "startup"
	livenessProbe  probeKind = "liveness"
	readinessProbe probeKind = "readiness"
)

// tally turns single results into a verdict by the probe's thresholds. It is pure.
type tally struct {
	successThreshold, failureThreshold int32
	good                               bool // the verdict so far
	successes, failures                int32
}

// add counts a result and says whether the verdict changed. A failing verdict is
// reported again every time, so that what did not act on it does.
func (t *tally) add(ok bool) (verdict, changed bool) {
	if ok {
		t.successes, t.failures = t.successes+1, 0
		if !t.good && t.successes >= t.successThreshold {
			t.good = true
			return true, true
		}
		return t.good, false
	}
	t.failures, t.successes = t.failures+1, 0
	if t.failures >= t.failureThreshold {
		changed = t.good || t.failures == t.failureThreshold
		t.good = false
		return false, changed
	}
	return t.good, false
}

func atLeast(v, floor int32) int32 { return max(v, floor) }

// quickRetries is how soon a container that is not ready yet is asked again,
// before its own period: it shortens the way to Ready and costs a few requests.
var quickRetries = []time.Duration{
	50 * time.Millisecond, 100 * time.Millisecond, 150 * time.Millisecond, 200 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, 750 * time.Millisecond, time.Second, time.Second, 2 * time.Second,
}

// runProbe probes a container until ctx is done and reports changes.
func (k *Kubelet) runProbe(ctx context.Context, kind probeKind, p *corev1.Probe, c *Container, target probeTarget, good bool, report func(r probeResult)) {
	period := time.Duration(atLeast(p.PeriodSeconds, 1)) * time.Second
	t := tally{successThreshold: atLeast(p.SuccessThreshold, 1), failureThreshold: atLeast(p.FailureThreshold, 1), good: good}
	delay := time.Until(c.StartedAt.Add(time.Duration(p.InitialDelaySeconds) * time.Second))
	quick := quickRetries
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
		ok, output := k.probeOnce(ctx, p, c.ID, target)
		if ctx.Err() != nil {
			return
		}
		verdict, changed := t.add(ok)
		early := kind == readinessProbe && !t.good && len(quick) > 0
		if (!ok && !early) || changed {
			report(probeResult{failed: !ok, good: verdict, exhausted: t.failures >= t.failureThreshold, output: output})
		}
		delay = period
		if early {
			delay, quick = min(quick[0], period), quick[1:]
			t.failures = 0 // asking early must not count against it
		}
	}
}

// probeResult is one result and what it means.
type probeResult struct {
	failed    bool // this time
	good      bool // the verdict
	exhausted bool // failed as often as the threshold allows
	output    string
}

// probeTarget is what a probe is aimed at.
type probeTarget struct {
	ip        string
	container *corev1.Container
}

func (k *Kubelet) probeOnce(ctx context.Context, p *corev1.Probe, id string, target probeTarget) (ok bool, output string) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(atLeast(p.TimeoutSeconds, 1))*time.Second)
	defer cancel()
	var err error
	switch {
	case p.HTTPGet != nil:
		err = httpGet(ctx, p.HTTPGet, target, "kube-probe/1.37")
	case p.TCPSocket != nil:
		err = tcpConnect(ctx, p.TCPSocket, target)
	case p.GRPC != nil:
		err = grpcCheck(ctx, p.GRPC, target)
	case p.Exec != nil:
		var out limited
		var code int
		code, err = k.runtime.Exec(ctx, id, p.Exec.Command, Streams{Out: &out, Err: &out})
		if ctx.Err() != nil {
			err = fmt.Errorf("command %q timed out", strings.Join(p.Exec.Command, " "))
		} else if err == nil && code != 0 {
			err = fmt.Errorf("%s", out.String())
		}
	default:
		err = fmt.Errorf("this kind of probe is not known")
	}
	if err != nil {
		return false, err.Error()
	}
	return true, ""
}

// limited keeps the beginning of what is written.
type limited struct{ bytes.Buffer }

func (l *limited) Write(b []byte) (int, error) {
	if room := 10<<10 - l.Len(); room > 0 {
		l.Buffer.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

func portNumber(p intstr.IntOrString, c *corev1.Container) (int, error) {
	if p.Type == intstr.Int {
		return int(p.IntVal), nil
	}
	for _, cp := range c.Ports {
		if cp.Name == p.StrVal {
			return int(cp.ContainerPort), nil
		}
	}
	if n, err := strconv.Atoi(p.StrVal); err == nil {
		return n, nil
	}
	return 0, fmt.Errorf("container %s has no port named %q", c.Name, p.StrVal)
}

func httpGet(ctx context.Context, g *corev1.HTTPGetAction, target probeTarget, agent string) error {
	port, err := portNumber(g.Port, target.container)
	if err != nil {
		return err
	}
	host := g.Host
	if host == "" {
		host = target.ip
	}
	path := g.Path
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	url := strings.ToLower(string(g.Scheme))
	if url == "" {
		url = "http"
	}
	url += "://" + net.JoinHostPort(host, strconv.Itoa(port)) + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", agent)
	req.Header.Set("Accept", "*/*")
	for _, h := range g.HTTPHeaders {
		if strings.EqualFold(h.Name, "Host") {
			req.Host = h.Value
		} else {
			req.Header.Add(h.Name, h.Value)
		}
	}
	// A probe's connection is its own: a kept one would not notice that the
	// container no longer accepts. Its certificate says nothing that we can verify.
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // see above
	client := &http.Client{Transport: tr, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Hostname() != req.URL.Hostname() || len(via) > 9 {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, 10<<10)); err != nil {
		return err
	}
	if res.StatusCode < 200 || res.StatusCode >= 400 {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", res.StatusCode)
	}
	return nil
}

func tcpConnect(ctx context.Context, t *corev1.TCPSocketAction, target probeTarget) error {
	port, err := portNumber(t.Port, target.container)
	if err != nil {
		return err
	}
	host := t.Host
	if host == "" {
		host = target.ip
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return conn.Close()
}

// grpcCheck asks a server by the standard health protocol.
func grpcCheck(ctx context.Context, g *corev1.GRPCAction, target probeTarget) error {
	address := net.JoinHostPort(target.ip, strconv.Itoa(int(g.Port)))
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent("kube-probe/1.37"))
	if err != nil {
		return err
	}
	defer conn.Close()
	req := &healthpb.HealthCheckRequest{}
	if g.Service != nil {
		req.Service = *g.Service
	}
	res, err := healthpb.NewHealthClient(conn).Check(ctx, req)
	if err != nil {
		return fmt.Errorf("ask the health service at %s: %w", address, err)
	}
	if res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("service unhealthy (responded with %q)", res.GetStatus())
	}
	return nil
}

// runHook runs a lifecycle handler.
func (k *Kubelet) runHook(ctx context.Context, h *corev1.LifecycleHandler, id string, target probeTarget) error {
	switch {
	case h.Exec != nil:
		var out limited
		code, err := k.runtime.Exec(ctx, id, h.Exec.Command, Streams{Out: &out, Err: &out})
		if err == nil && code != 0 {
			err = fmt.Errorf("command %q ended with %d: %s", h.Exec.Command, code, out.String())
		}
		return err
	case h.HTTPGet != nil:
		return httpGet(ctx, h.HTTPGet, target, "kube-lifecycle/1.37")
	case h.Sleep != nil:
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(h.Sleep.Seconds) * time.Second):
		}
	}
	return nil
}
