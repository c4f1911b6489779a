package lifecycle

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/probe"
)

type command struct {
	code int
	err  error
}

func (c command) Exec(_ context.Context, _ string, _ []string, s container.Streams) (int, error) {
	_, err := s.Err.Write([]byte("said"))
	return c.code, errors.Join(err, c.err)
}

func TestExecHook(t *testing.T) {
	h := &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"stop"}}}
	for _, c := range []struct {
		command
		want string
	}{{command{}, ""}, {command{code: 3}, "ended with 3: said"}, {command{err: errors.New("gone")}, "gone"}} {
		err := Runner{c.command}.Run(t.Context(), h, probe.Target{})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestSleepHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 7}}
		began := time.Now()
		if err := (Runner{}).Run(t.Context(), h, probe.Target{}); err != nil || time.Since(began) != 7*time.Second {
			t.Errorf("slept %s, %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began = time.Now()
		if err := (Runner{}).Run(ctx, h, probe.Target{}); err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("with a deadline slept %s, %v", time.Since(began), err)
		}
	})
}

func TestHTTPHook(t *testing.T) {
	h := &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromString("none")}}
	if err := (Runner{}).Run(t.Context(), h, probe.Target{Container: &corev1.Container{Name: "c"}}); err == nil {
		t.Error("a hook without a port to call is a success")
	}
}
