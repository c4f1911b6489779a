package dns

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

func TestTheCorefile(t *testing.T) {
	const cluster = `cluster.local 10.96.0.0/16 10.244.0.0/16 {
    bind 10.96.0.10
    errors
    loop
    gantry_metrics
    gantry_kubernetes cluster.local 10.96.0.0/16 10.244.0.0/16 {
        pods insecure
        ttl 30
    }
}
. {
    bind 10.96.0.10
    errors
    loop
    gantry_metrics
`
	for what, tc := range map[string]struct {
		upstreams []string
		want      string
	}{
		"none": {nil, cluster + "    gantry_nxdomain\n}\n"},
		"one":  {[]string{"192.0.2.53"}, cluster + "    cache 30\n    forward . 192.0.2.53\n}\n"},
		"two":  {[]string{"192.0.2.53", "192.0.2.54:5353"}, cluster + "    cache 30\n    forward . 192.0.2.53 192.0.2.54:5353\n}\n"},
	} {
		if got := Corefile(cfg, tc.upstreams); got != tc.want {
			t.Errorf("%s: got\n%s\nwant\n%s", what, got, tc.want)
		}
	}
}

func TestNameserversOfAFile(t *testing.T) {
	for what, tc := range map[string]struct {
		file string
		want []string
	}{
		"nothing":            {"", nil},
		"one":                {"nameserver 192.0.2.1", []string{"192.0.2.1"}},
		"behind other lines": {"# nameserver 192.0.2.9\n\nsearch a b\noptions ndots:5\nnameserver 192.0.2.1\n", []string{"192.0.2.1"}},
		"with blanks":        {"\tnameserver   192.0.2.1   # ours\n", []string{"192.0.2.1"}},
		"without address":    {"nameserver\nnameserver 192.0.2.1\n", []string{"192.0.2.1"}},
		"another word":       {"nameservers 192.0.2.1\nsearch 192.0.2.2\n", nil},
		"three":              {"nameserver 192.0.2.3\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n", []string{"192.0.2.3", "192.0.2.1", "192.0.2.2"}},
	} {
		file := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(file, []byte(tc.file), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, _ := Upstreams([]string{file}, "", nil); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", what, got, tc.want)
		}
		if got, _ := Upstreams([]string{"192.0.2.8", file, "192.0.2.9:53"}, "", nil); !slices.Equal(got, slices.Concat([]string{"192.0.2.8"}, tc.want, []string{"192.0.2.9:53"})) {
			t.Errorf("%s, between two: %v", what, got)
		}
	}
	if got, dropped := Upstreams(nil, "", nil); got != nil || dropped != nil {
		t.Errorf("of nothing: %v", got)
	}
}

func TestOnlyOneAddressIsHeld(t *testing.T) {
	addr := func(s string) netlink.Addr {
		ip, n, err := net.ParseCIDR(s)
		if err != nil {
			t.Fatal(err)
		}
		return netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: n.Mask}}
	}
	want := addr("10.96.0.10/32").IPNet
	for what, tc := range map[string]struct{ have, others []string }{
		"none":                 {nil, nil},
		"it":                   {[]string{"10.96.0.10/32"}, nil},
		"an earlier one":       {[]string{"10.97.0.10/32"}, []string{"10.97.0.10/32"}},
		"it among others":      {[]string{"10.97.0.10/32", "10.96.0.10/32", "10.98.0.10/32"}, []string{"10.97.0.10/32", "10.98.0.10/32"}},
		"it, of a wider range": {[]string{"10.96.0.10/24"}, []string{"10.96.0.10/24"}},
	} {
		var have []netlink.Addr
		for _, s := range tc.have {
			have = append(have, addr(s))
		}
		var got []string
		for _, a := range others(have, want) {
			got = append(got, a.IPNet.String())
		}
		if !slices.Equal(got, tc.others) {
			t.Errorf("%s: others are %v, want %v", what, got, tc.others)
		}
	}
}

// A server that answers is asked seldom; one that does not is asked ever less often,
// but twice a second.
func TestAServerIsReadyWhileItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(config.DNSConfig{Addresses: addr.MustIPs("10.96.0.10"), Domain: "cluster.local"}, nil, nil)
		if s.Ready() == nil {
			t.Error("ready before it is asked")
		}
		silent := errors.New("no answer")
		var mu sync.Mutex
		answer, asked := silent, 0
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			s.probe(ctx, func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				asked++
				return answer
			})
			close(ended)
		}()
		for _, tc := range []struct {
			after  time.Duration
			answer error
			asked  int
		}{
			{0, silent, 1},
			{39 * time.Millisecond, silent, 1},
			{2 * time.Millisecond, silent, 2},     // after 40 ms
			{80 * time.Millisecond, silent, 3},    // after 120
			{160 * time.Millisecond, silent, 4},   // after 280
			{320 * time.Millisecond, silent, 5},   // after 600
			{490 * time.Millisecond, silent, 5},   // at 1091
			{10 * time.Millisecond, silent, 6},    // after 1100
			{500 * time.Millisecond, nil, 7},      // after 1600
			{4900 * time.Millisecond, nil, 7},     // at 6501
			{200 * time.Millisecond, silent, 8},   // after 6600
			{390 * time.Millisecond, silent, 8},   // at 7091
			{5000 * time.Millisecond, silent, 18}, // at 12091: twice a second again
		} {
			mu.Lock()
			answer = tc.answer
			mu.Unlock()
			time.Sleep(tc.after)
			synctest.Wait()
			mu.Lock()
			if ready := s.Ready() == nil; asked != tc.asked || ready != (tc.answer == nil) {
				t.Errorf("asked %d times, ready %v, want %d, %v", asked, ready, tc.asked, tc.answer == nil)
			}
			mu.Unlock()
		}
		cancel()
		<-ended
	})
}
