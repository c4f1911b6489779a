package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/bench/master"
)

// stalledPosts, slowReaders and listers are the load.
const stalledPosts, slowReaders, listers = 400, 1000, 50

// target is whom the attack is on, with the token of a pod.
type target struct {
	Host, CAFile, ServerName, Token string
}

// besiege attacks from a process of its own until stop is called: what attackers do with
// what they are sent must not hold up the clients whose latencies are taken.
func besiege(ctx context.Context, m *master.Master) (stop func(), err error) {
	cfg, err := withToken(ctx, m, attackers)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(target{cfg.Host, cfg.CAFile, cfg.ServerName, cfg.BearerToken})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-attack", string(text))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // as above
	}, nil
}

// attack is that process. It takes the CPU time that others leave: attackers come with
// their own.
func attack(ctx context.Context, text string) error {
	var t target
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return err
	}
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19); err != nil {
		return err
	}
	doer, err := rest.HTTPClientFor(&rest.Config{
		Host: t.Host, BearerToken: t.Token, TLSClientConfig: rest.TLSClientConfig{CAFile: t.CAFile, ServerName: t.ServerName},
	})
	if err != nil {
		return err
	}
	dial, err := t.dialer()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	again := func(n int, f func()) {
		for range n {
			wg.Go(func() {
				for ctx.Err() == nil {
					f()
					sleep(ctx, 10*time.Millisecond) //nolint:errcheck // the loop sees it
				}
			})
		}
	}
	again(stalledPosts, func() { t.stall(ctx, doer) })
	again(slowReaders, func() { t.readSlowly(ctx, dial) })
	again(listers, func() { t.list(ctx, doer) })
	wg.Wait()
	return nil
}

// stall posts an object whose end does not come.
func (t target) stall(ctx context.Context, doer *http.Client) {
	body, w := io.Pipe()
	defer w.Close()
	go fmt.Fprint(w, `{"kind":"ConfigMap",`) // the server may have answered
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.Host+"/api/v1/namespaces/default/configmaps?timeout=10s", body)
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	if resp, err := doer.Do(req); err == nil {
		resp.Body.Close()
	}
}

// list has all objects sent as fast as they come.
func (t target) list(ctx context.Context, doer *http.Client) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.Host+"/api/v1/configmaps", nil)
	if err != nil {
		return
	}
	if resp, err := doer.Do(req); err == nil {
		io.Copy(io.Discard, resp.Body) //nolint:errcheck // how it ends is not looked at
		resp.Body.Close()
	}
}

// readSlowly lists all and reads the answer at a kilobyte a second.
func (t target) readSlowly(ctx context.Context, dial func(context.Context) (net.Conn, error)) {
	c, err := dial(ctx)
	if err != nil {
		return
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if _, err := fmt.Fprintf(c, "GET /api/v1/configmaps?resourceVersion=0 HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", t.ServerName, t.Token); err != nil {
		return
	}
	buf := make([]byte, 1000)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
		if sleep(ctx, time.Second) != nil {
			return
		}
	}
}

// dialer makes connections of HTTP/1.1 without a certificate. They come from an address
// of their own: who has too many handshakes under way loses some, and those that share an
// address share that.
func (t target) dialer() (func(context.Context) (net.Conn, error), error) {
	u, err := url.Parse(t.Host)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("the CA is none")
	}
	d := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}, Config: &tls.Config{RootCAs: roots, ServerName: t.ServerName, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}}
	return func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", u.Host) }, nil
}
