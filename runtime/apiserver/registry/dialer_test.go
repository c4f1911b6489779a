package registry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// testDialer is one on a master that has an address beside that which it advertises.
func testDialer() dialer {
	return dialer{
		service: func(_ context.Context, ip netip.Addr) (bool, error) {
			return netip.MustParsePrefix("10.96.0.0/16").Contains(ip), nil
		},
		local: func() ([]net.Addr, error) {
			return []net.Addr{&net.IPNet{IP: net.ParseIP("10.1.0.1"), Mask: net.CIDRMask(24, 32)}, &net.IPNet{IP: net.ParseIP("fd01::1"), Mask: net.CIDRMask(64, 128)}}, nil
		},
		masters: func(context.Context) (*discoveryv1.EndpointSlice, error) {
			return &discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}, {Addresses: []string{"10.0.0.2", "fd00::2"}}}}, nil
		},
	}
}

func TestNoMasterIsDialled(t *testing.T) {
	d := testDialer()
	for ip, want := range map[string]bool{
		"10.0.0.3": true, "10.0.0.10": true, "10.1.0.2": true, "fd00::1": true, "fd01::2": true, "10.97.0.1": true, "192.0.2.1": true,
		"10.0.0.1": false, "10.0.0.2": false, "fd00::2": false, "::ffff:10.0.0.1": false, // advertised
		"10.1.0.1": false, "::ffff:10.1.0.1": false, "fd01::1": false, // its others
		"10.96.0.1": false, "10.96.255.255": false, // Services
		"127.0.0.1": false, "::1": false, "169.254.169.254": false, "fe80::1": false, "0.0.0.0": false, "224.0.0.1": false,
	} {
		address := net.JoinHostPort(ip, "6443")
		if err := d.control(t.Context(), "tcp", address, nil); (err == nil) != want {
			t.Errorf("dialling %s: %v", address, err)
		}
		if err := d.check(t.Context(), ip); (err == nil) != want || err != nil && !apierrors.IsBadRequest(err) {
			t.Errorf("%s: %v", ip, err)
		}
	}
	away := errors.New("no answer")
	d.masters = func(context.Context) (*discoveryv1.EndpointSlice, error) { return nil, away }
	if err := d.check(t.Context(), "10.0.0.3"); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("without the masters: %v", err)
	}
	d = testDialer()
	d.service = func(context.Context, netip.Addr) (bool, error) { return false, away }
	if err := d.check(t.Context(), "10.0.0.3"); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("without the ranges of Services: %v", err)
	}
	d = testDialer()
	d.local = func() ([]net.Addr, error) { return nil, away }
	if err := d.check(t.Context(), "10.0.0.3"); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("without its own addresses: %v", err)
	}
}

// A name is resolved by the dial: what it had for an address before counts for nothing.
func TestTheTransportOfProxiesLooksAtTheAddress(t *testing.T) {
	backend := httptest.NewTLSServer(http.NotFoundHandler())
	defer backend.Close()
	_, port, err := net.SplitHostPort(backend.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	transport := testDialer().transport()
	for _, host := range []string{"localhost", "127.0.0.1"} {
		r := httptest.NewRequest(http.MethodGet, "https://"+net.JoinHostPort(host, port), nil)
		r.RequestURI = ""
		if resp, err := transport.RoundTrip(r); err == nil || !strings.Contains(err.Error(), errNotAllowed.Error()) {
			t.Errorf("%s: %v, %v", host, resp, err)
		}
	}
	// Reached by other means, its own certificate is no obstacle.
	transport.DialContext = (&net.Dialer{}).DialContext
	r := httptest.NewRequest(http.MethodGet, backend.URL, nil)
	r.RequestURI = ""
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}
