package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gantry-run/gantry/chaos/judge"
)

// master is the API of one master. No request is repeated below it: a client that
// judges must know each of its attempts.
type master struct {
	name, base string
	client     *http.Client
}

func dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 2 * time.Second, KeepAlive: 2 * time.Second}
	return d.DialContext
}

// statusError is what an API server answered instead.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string { return fmt.Sprintf("%d: %.200s", e.code, e.message) }

// open asks, and returns the body of a good answer.
func (m *master) open(ctx context.Context, method, path, kind string, body any) (io.ReadCloser, error) {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, m.base+path, content)
	if err != nil {
		return nil, err
	}
	req.GetBody = nil // nobody sends it a second time
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := m.client.Do(req)
	if err != nil {
		m.client.CloseIdleConnections() // the next one may be another
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var status struct{ Message string }
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if json.Unmarshal(text, &status) != nil || status.Message == "" {
		status.Message = string(text)
	}
	return nil, &statusError{resp.StatusCode, status.Message}
}

// do asks and reads the answer into out.
func (m *master) do(ctx context.Context, method, path, kind string, body, out any) error {
	answer, err := m.open(ctx, method, path, kind, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if out == nil {
		out = &struct{}{}
	}
	return json.NewDecoder(answer).Decode(out)
}

func (m *master) get(ctx context.Context, path string, out any) error {
	return m.do(ctx, http.MethodGet, path, "", nil, out)
}

// code is that of an API server's answer, 0 of none.
func code(err error) int {
	var status *statusError
	if errors.As(err, &status) {
		return status.code
	}
	return 0
}

// outcome says what is known of an attempt that had this error.
func outcome(err error, write bool) string {
	var op *net.OpError
	switch c := code(err); {
	case err == nil:
		return judge.OK
	case !write, errors.As(err, &op) && op.Op == "dial", c >= 400 && c < 500 && c != http.StatusConflict && c != http.StatusRequestTimeout:
		return judge.Failed
	case c == http.StatusConflict:
		return judge.Conflict
	default:
		return judge.Unknown
	}
}
