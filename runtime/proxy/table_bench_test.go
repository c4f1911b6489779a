//go:build lab

package proxy

import (
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// BenchmarkTable writes 10,000 Services of five endpoints, and changes one.
func BenchmarkTable(b *testing.B) {
	rules := Rules{}
	for i := range 10000 {
		var eps []netip.AddrPort
		for j := range 5 {
			n := i*5 + j
			eps = append(eps, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 244, byte(n / 250), byte(n % 250)}), 8080))
		}
		rules[Frontend{netip.AddrFrom4([4]byte{10, 96, byte(i / 250), byte(i % 250)}), corev1.ProtocolTCP, 80}] = Backend{Endpoints: eps}
	}
	run := func(b *testing.B, f func(*Table)) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread()
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				b.Error(err)
				return
			}
			table, err := OpenTable(netip.MustParsePrefix("10.244.0.0/16"))
			if err != nil {
				b.Error(err)
				return
			}
			defer table.Close() // the benchmark ends
			f(table)
		}()
		<-done
	}
	b.Run("replace 10,000 services", func(b *testing.B) {
		run(b, func(t *Table) {
			for b.Loop() {
				if err := t.Replace(rules); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	b.Run("replace 10,000 services by weight", func(b *testing.B) {
		run(b, func(t *Table) {
			weighted := Rules{}
			for f, backend := range rules {
				backend.Weight = Weight{Local: 1, Percent: 46}
				weighted[f] = backend
			}
			for b.Loop() {
				if err := t.Replace(weighted); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	b.Run("change one of 10,000", func(b *testing.B) {
		run(b, func(t *Table) {
			if err := t.Replace(rules); err != nil {
				b.Error(err)
				return
			}
			f := Frontend{netip.AddrFrom4([4]byte{10, 96, 1, 1}), corev1.ProtocolTCP, 80}
			for b.Loop() {
				if err := t.Apply(Change{Set: Rules{f: rules[f]}}, rules); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
