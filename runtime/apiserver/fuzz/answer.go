package fuzz

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// request is one of them.
type request struct {
	method, path, body string
	query              url.Values
	header             http.Header
	part               string // the subresource
}

func (r request) String() string {
	return fmt.Sprintf("%s %s?%s %v\n%.2000s", r.method, r.path, r.query.Encode(), r.header, r.body)
}

// noTime is a time-out that has passed before the server looks at it.
const noTime = "1ns"

// send sends one, and judges the answer.
func (f *Fuzzer) send(ctx context.Context, r request) error {
	req, err := http.NewRequestWithContext(ctx, r.method, f.host+r.path+"?"+r.query.Encode(), strings.NewReader(r.body))
	if err != nil {
		return nil // no client could send this
	}
	req.Header = r.header
	resp, err := f.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s\nis not answered: %w", r, err)
	}
	defer resp.Body.Close()
	f.Codes[resp.StatusCode]++
	if r.query.Has("watch") && resp.StatusCode == http.StatusOK {
		return nil // it has begun, which is all of it
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s\nis not answered to the end: %w", r, err)
	}
	if reason := r.wrong(resp.StatusCode); reason != "" {
		return fmt.Errorf("%s\nis answered %d (%s): %.1000s", r, resp.StatusCode, reason, answer)
	}
	return nil
}

// lasts reports whether the server lets the request last as long as it likes.
func (r request) lasts() bool {
	return r.query.Has("watch") || slices.Contains([]string{"proxy", "log", "exec", "attach", "portforward"}, r.part)
}

// wrong says what is wrong with a status: the server does not fail at what a client
// sends. It has had no time where the client gave it none, and cannot reach what is
// behind a proxy.
func (r request) wrong(code int) string {
	hurried := r.query.Get("timeout") == noTime && !r.lasts()
	switch {
	case code == http.StatusGatewayTimeout && r.query.Get("timeout") == noTime && strings.Contains(r.path, "%2f"):
		return "" // with a slash in its name it is another path, of something that does not last
	case hurried && code != http.StatusGatewayTimeout:
		return "it had no time"
	case code == http.StatusGatewayTimeout && !hurried:
		return "it had time"
	case code == http.StatusGatewayTimeout, code < 500:
		return ""
	case code == http.StatusServiceUnavailable && (r.part == "proxy" || r.part == "log"):
		return ""
	}
	return "the server failed"
}
