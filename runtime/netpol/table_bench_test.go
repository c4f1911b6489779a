//go:build lab

package netpol

import (
	"testing"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

// BenchmarkTable writes the large cluster to the kernel, and one pod of it.
func BenchmarkTable(b *testing.B) {
	run := func(name string, f func(*testing.B, *Table, *State) error) {
		b.Run(name, func(b *testing.B) {
			if err := onThread(func() error {
				if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
					return err
				}
				table, err := OpenTable()
				if err != nil {
					return err
				}
				defer table.Close() // the benchmark ends
				return f(b, table, large(b))
			}); err != nil {
				b.Fatal(err)
			}
		})
	}
	run("replace 10,000 pods and 100 policies", func(b *testing.B, t *Table, s *State) error {
		for b.Loop() {
			if err := t.Replace(s.Ruleset()); err != nil {
				return err
			}
		}
		return nil
	})
	run("one pod of 10,000 comes and goes", func(b *testing.B, t *Table, s *State) error {
		if err := t.Replace(s.Ruleset()); err != nil {
			return err
		}
		s.Applied()
		p := largePod(10000)
		name := types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
		for b.Loop() {
			s.SetPod(name, p)
			if err := t.Apply(s.Change()); err != nil {
				return err
			}
			s.Applied()
			s.SetPod(name, nil)
			if err := t.Apply(s.Change()); err != nil {
				return err
			}
			s.Applied()
		}
		return nil
	})
}
