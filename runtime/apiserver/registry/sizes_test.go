package registry

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apiserver/pkg/storage"
	flowcontrolrequest "k8s.io/apiserver/pkg/util/flowcontrol/request"
)

// counted is a storage that takes a second to count.
type counted struct {
	count int64
	err   error
	reads int
}

func (c *counted) Stats(context.Context) (storage.Stats, error) {
	c.reads++
	time.Sleep(time.Second)
	return storage.Stats{ObjectCount: c.count}, c.err
}

func TestSizesAreReadWhenAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pods := &counted{count: 7}
		s := &Sizes{stores: map[string]reader{"pods": pods}, known: map[string]*size{}, now: time.Now}
		want := func(what string, count int64, reads int) {
			t.Helper()
			got, err := s.Get("pods")
			if count < 0 {
				if !errors.Is(err, flowcontrolrequest.ObjectCountNotFoundErr) {
					t.Errorf("%s: %v, %v", what, got, err)
				}
			} else if err != nil || got.ObjectCount != count {
				t.Errorf("%s: %v, %v", what, got, err)
			}
			if synctest.Wait(); pods.reads != reads {
				t.Errorf("%s: read %d times", what, pods.reads)
			}
		}
		if _, err := s.Get("things"); !errors.Is(err, flowcontrolrequest.ObjectCountNotFoundErr) {
			t.Errorf("a resource that is not ours: %v", err)
		}
		want("asked first", -1, 1)
		want("asked while it is read", -1, 1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		pods.count = 9
		want("read", 7, 1)
		time.Sleep(sizeTTL - 2*time.Second - 1)
		want("still believed", 7, 1)
		time.Sleep(time.Nanosecond)
		want("read again", 7, 2)
		time.Sleep(sizeTTL)
		synctest.Wait()
		pods.err = errors.New("no leader")
		want("the second", 9, 3)
		time.Sleep(sizeTTL)
		want("a failure changes nothing", 9, 4)
		time.Sleep(2 * time.Second)
	})
}
