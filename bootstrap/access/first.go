package access

import (
	"errors"
	"time"
)

// HeadStart is how long one master may take before the next is tried beside it.
const HeadStart = time.Second

// First tries n masters in turn until one succeeds with what is good; what is not is
// taken where nothing is. One that does not answer costs HeadStart, not a time-out:
// then the next is tried beside it. What is not taken is dropped. Without good,
// everything is.
func First[T any](n int, try func(i int) (T, error), good func(T) bool, drop func(T)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	outcomes := make(chan outcome, n)
	var none T
	if n == 0 {
		return none, ErrNoMaster
	}
	var errs []error
	var second *T
	begun, ended := 0, 0
	begin := func() {
		i := begun
		begun++
		go func() {
			v, err := try(i)
			outcomes <- outcome{v, err}
		}()
	}
	for ended < n {
		if begun == ended { // nobody else is being asked
			begin()
		}
		var next <-chan time.Time
		if begun < n {
			next = time.After(HeadStart)
		}
		select {
		case <-next:
			begin()
		case o := <-outcomes:
			ended++
			switch {
			case o.err != nil:
				errs = append(errs, o.err)
			case good == nil || good(o.value):
				if second != nil {
					drop(*second)
				}
				go func() { // those that are still being tried
					for range begun - ended {
						if late := <-outcomes; late.err == nil {
							drop(late.value)
						}
					}
				}()
				return o.value, nil
			case second == nil:
				second = &o.value
			default:
				drop(o.value)
			}
		}
	}
	if second != nil {
		return *second, nil
	}
	return none, errors.Join(errs...)
}

// ErrNoMaster is for a cluster without a master that could be tried.
var ErrNoMaster = errors.New("no master is named by which the cluster could be reached")
