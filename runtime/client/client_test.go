package client

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/runtime/config"
)

func TestNew(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a client that knows no master")
	}
	for name, host := range map[string]string{"": "https://" + config.APIServerName, "api.example.org": "https://api.example.org"} {
		c, err := New(Options{Servers: []string{"a:1", "b:1"}, ServerName: name, UserAgent: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if c.REST.Host != host || "https://"+c.REST.ServerName != host || c.REST.UserAgent != "test" {
			t.Errorf("%q: asks %s, verifies %s, is %s", name, c.REST.Host, c.REST.ServerName, c.REST.UserAgent)
		}
		if got := c.dialer.Servers(); !slices.Equal(got, []string{"a:1", "b:1"}) {
			t.Errorf("dials %v", got)
		}
		// An API that answers is never asked to wait, nor to compress.
		if c.REST.QPS >= 0 || !c.REST.DisableCompression || c.REST.ContentType != runtime.ContentTypeProtobuf {
			t.Errorf("got %+v", c.REST)
		}
		if j := c.JSON(); j.ContentType != runtime.ContentTypeJSON || j.AcceptContentTypes != runtime.ContentTypeJSON || c.REST.ContentType != runtime.ContentTypeProtobuf {
			t.Errorf("JSON speaks %s, %s; and the other %s", j.ContentType, j.AcceptContentTypes, c.REST.ContentType)
		}
	}
}

func TestFromConfig(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"ca", "cert", "key"} {
		if err := os.WriteFile(path(name), []byte("the "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := config.APIClient{Servers: []string{"a:1"}, ServerName: "x", CAFile: path("ca"), KeyPair: config.KeyPair{CertFile: path("cert"), KeyFile: path("key")}}
	want := Options{Servers: []string{"a:1"}, ServerName: "x", UserAgent: "test", CA: []byte("the ca"), Cert: []byte("the cert"), Key: []byte("the key")}
	if got, err := FromConfig(c, "test"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
	if err := os.Remove(path("key")); err != nil {
		t.Fatal(err)
	}
	if got, err := FromConfig(c, "test"); err == nil {
		t.Errorf("without a key: %+v", got)
	}
}

func TestMastersAreThoseThatAreReady(t *testing.T) {
	yes, no, port, other := true, false, int32(6443), int32(7443)
	ep := func(ready *bool, ips ...string) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: ips, Conditions: discoveryv1.EndpointConditions{Ready: ready}}
	}
	https := []discoveryv1.EndpointPort{{Port: &port}}
	for what, tc := range map[string]struct {
		ports []discoveryv1.EndpointPort
		eps   []discoveryv1.Endpoint
		want  []string // empty: they are as they were
	}{
		"none":                     {https, nil, nil},
		"no port":                  {nil, []discoveryv1.Endpoint{ep(&yes, "10.0.0.1")}, nil},
		"a port without a number":  {[]discoveryv1.EndpointPort{{}}, []discoveryv1.Endpoint{ep(&yes, "10.0.0.1")}, nil},
		"ready":                    {https, []discoveryv1.Endpoint{ep(&yes, "10.0.0.1")}, []string{"10.0.0.1:6443"}},
		"readiness is not said":    {https, []discoveryv1.Endpoint{ep(nil, "10.0.0.1")}, []string{"10.0.0.1:6443"}},
		"not ready":                {https, []discoveryv1.Endpoint{ep(&no, "10.0.0.1")}, nil},
		"the second is ready":      {https, []discoveryv1.Endpoint{ep(&no, "10.0.0.1"), ep(&yes, "10.0.0.2")}, []string{"10.0.0.2:6443"}},
		"all addresses of all":     {https, []discoveryv1.Endpoint{ep(&yes, "10.0.0.1", "10.0.0.2"), ep(nil, "fd00::1")}, []string{"10.0.0.1:6443", "10.0.0.2:6443", "[fd00::1]:6443"}},
		"the second has a number":  {[]discoveryv1.EndpointPort{{}, {Port: &port}}, []discoveryv1.Endpoint{ep(&yes, "10.0.0.1")}, []string{"10.0.0.1:6443"}},
		"two ports":                {[]discoveryv1.EndpointPort{{Port: &port}, {Port: &other}}, []discoveryv1.Endpoint{ep(&yes, "10.0.0.1")}, []string{"10.0.0.1:6443", "10.0.0.1:7443"}},
		"an endpoint of no server": {https, []discoveryv1.Endpoint{ep(&yes)}, nil},
	} {
		c, err := New(Options{Servers: []string{"a:1"}})
		if err != nil {
			t.Fatal(err)
		}
		c.setMasters(&discoveryv1.EndpointSlice{Ports: tc.ports, Endpoints: tc.eps})
		want := tc.want
		if want == nil {
			want = []string{"a:1"}
		}
		if got := c.dialer.Servers(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
}
