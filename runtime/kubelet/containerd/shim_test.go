package containerd

import (
	"errors"
	"hash/maphash"
	"testing"
)

func TestATaskIsTriedAgainOnlyWhileAShimMayBeEnding(t *testing.T) {
	s := &shims{seed: maphash.MakeSeed()}
	gone := errors.New("ttrpc: closed")
	tries, undone := 0, 0
	create := func(failures int) error {
		tries, undone = 0, 0
		return s.creating(t.Context(), "pod", func() error {
			if tries++; tries <= failures {
				return gone
			}
			return nil
		}, func() { undone++ })
	}
	if err := create(1); !errors.Is(err, gone) || tries != 1 {
		t.Errorf("without a task that was deleted: %v after %d tries", err, tries)
	}
	if err := s.deleting("pod", func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := create(3); err != nil || tries != 4 || undone != 3 {
		t.Errorf("just after one was deleted: %v after %d tries, %d of them undone", err, tries, undone)
	}
}
