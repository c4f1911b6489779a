package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gantry-run/gantry/differential/compare"
)

// Media types of requests and answers.
const (
	typeJSON      = "application/json"
	typeJSONPatch = "application/json-patch+json"
	typeMerge     = "application/merge-patch+json"
	typeStrategic = "application/strategic-merge-patch+json"
	typeApply     = "application/apply-patch+yaml"
	typeTable     = "application/json;as=Table;v=v1;g=meta.k8s.io"
	typePartial   = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
	typePartials  = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
)

// requestTime bounds an answer: both servers are on this machine.
const requestTime = 30 * time.Second

// server is one of the two API servers.
type server struct {
	base string
	http *http.Client
}

func newServer(address string, cfg *tls.Config) *server {
	return &server{"https://" + address, &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, MaxIdleConnsPerHost: 64, ForceAttemptHTTP2: true}}}
}

// request is what is sent.
type request struct {
	method, path        string
	query               url.Values
	contentType, accept string
	body                any
}

func (s *server) open(ctx context.Context, r request) (*http.Response, error) {
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	target := s.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "differential")
	if r.body != nil {
		req.Header.Set("Content-Type", or(r.contentType, typeJSON))
	}
	req.Header.Set("Accept", or(r.accept, typeJSON))
	return s.http.Do(req)
}

func (s *server) do(ctx context.Context, r request) (compare.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	resp, err := s.open(ctx, r)
	if err != nil && strings.Contains(err.Error(), "INTERNAL_ERROR") { // of HTTP/2: it panicked
		return compare.Answer{Code: http.StatusInternalServerError, Body: "the server broke off"}, nil
	}
	if err != nil {
		return compare.Answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return compare.Answer{}, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	a := compare.Answer{Code: resp.StatusCode, Warnings: resp.Header.Values("Warning")}
	if json.Unmarshal(data, &a.Body) != nil {
		a.Body = string(data)
	}
	return a, nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// raw is the body of an answer of 200.
func (s *server) raw(ctx context.Context, path string) ([]byte, error) {
	resp, err := s.open(ctx, request{method: http.MethodGet, path: path})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", path, resp.Status)
	}
	return io.ReadAll(resp.Body)
}
