package podworker

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// TestHistoryInAnyOrder: whatever the order in which the states of five incarnations are
// told, each as often as one likes, the last two are kept as they ended, and the others
// are dropped.
func TestHistoryInAnyOrder(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var told []container.Container
	for i := range int32(5) {
		c := container.Container{ID: fmt.Sprint("id", i), Name: "c", Restarts: i, StartedAt: now.Add(time.Duration(i) * time.Hour)}
		told = append(told, c, c)
		if i < 4 {
			c.State, c.Exit = container.StateExited, &container.Exit{Code: i}
			told = append(told, c, c)
		}
	}
	for seed := range uint64(200) {
		h := newHistory()
		dropped := map[string]bool{}
		order := rand.New(rand.NewPCG(seed, 2)).Perm(len(told))
		for _, i := range order {
			c := told[i]
			if d := h.put(&c); d != nil {
				dropped[d.ID] = true
			}
		}
		newest, previous := h.newest["c"], h.previous["c"]
		if newest.ID != "id4" || previous.ID != "id3" || len(h.all()) != 2 || len(dropped) < 3 || dropped["id4"] {
			t.Fatalf("order %v: %s after %s, dropped %v", order, newest.ID, previous.ID, dropped)
		}
		if r := h.running(); len(r) != 1 || !r["id4"] {
			t.Fatalf("order %v: running are %v", order, r)
		}
	}
}

func TestAnEndIsFinal(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	h := newHistory()
	runs := container.Container{ID: "id", Name: "c", StartedAt: now}
	ended := runs
	ended.State, ended.Exit = container.StateExited, &container.Exit{Code: 1}
	for _, c := range []container.Container{runs, ended, runs} {
		if dropped := h.put(&c); dropped != nil {
			t.Errorf("%+v is dropped", dropped)
		}
	}
	if h.newest["c"].State != container.StateExited || len(h.running()) != 0 {
		t.Error("one that ended runs again")
	}
}

// TestASecondAttemptUnderTheSameID is not ended by the end of the first.
func TestASecondAttemptUnderTheSameID(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	h := newHistory()
	second := container.Container{ID: "id", Name: "c", StartedAt: now.Add(time.Second)}
	h.put(&second)
	first := container.Container{ID: "id", Name: "c", StartedAt: now, State: container.StateExited, Exit: &container.Exit{}}
	h.put(&first)
	if h.newest["c"].State != container.StateRunning {
		t.Error("the second attempt is taken for ended")
	}
	own := container.Container{ID: "id", Name: "c", StartedAt: now.Add(time.Second), State: container.StateExited, Exit: &container.Exit{}}
	h.put(&own)
	if h.newest["c"].State != container.StateExited {
		t.Error("its own end is not taken")
	}
}
