package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// HTTPGet makes a request; a status from 200 to 399 is a success.
func HTTPGet(ctx context.Context, g *corev1.HTTPGetAction, target Target, agent string) error {
	port, err := PortNumber(g.Port, target.Container)
	if err != nil {
		return err
	}
	host := g.Host
	if host == "" {
		host = target.IP
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
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
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
	body, err := io.ReadAll(io.LimitReader(res.Body, 10<<10))
	switch {
	case err != nil:
		return err
	case res.StatusCode < 200 || res.StatusCode >= 400:
		return fmt.Errorf("HTTP probe failed with statuscode: %d", res.StatusCode)
	case res.StatusCode >= 300:
		return &Warning{"Probe terminated redirects, Response body: " + string(body)}
	}
	return nil
}
