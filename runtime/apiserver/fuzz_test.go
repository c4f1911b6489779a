package apiserver_test

import (
	"context"
	"fmt"
	"net/http"
	goruntime "runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/apiserver/fuzz"
)

const (
	// fuzzSeed is of the run, and fuzzGrowth what the live heap may grow by in half of
	// the requests that store nothing.
	fuzzSeed, fuzzGrowth = 9, 2 << 20
)

// TestBadInputIsRefused sends what no client should to every resource: the server
// answers with a reason, never with an error of its own, and keeps nothing of it.
func TestBadInputIsRefused(t *testing.T) {
	c := apitest.Start(t)
	customResources(t, c) // a kind whose schema is a user's
	admin := c.Admin()
	eventually(t, "the schema has the custom kind", func() error {
		data, err := admin.Discovery().RESTClient().Get().AbsPath("/openapi/v2").DoRaw(t.Context())
		if err == nil && !strings.Contains(string(data), "com.example.v1.Widget") {
			err = fmt.Errorf("it has not")
		}
		return err
	})
	f := must[*fuzz.Fuzzer](t)(fuzz.New(admin.REST, namespace(t, admin, "fuzz"), fuzzSeed))
	var panics atomic.Int64
	handlers := utilruntime.PanicHandlers
	utilruntime.PanicHandlers = append(slices.Clone(handlers), func(_ context.Context, r any) {
		if r != http.ErrAbortHandler {
			panics.Add(1)
		}
	})
	defer func() { utilruntime.PanicHandlers = handlers }()
	round := func(dry bool) int64 {
		for _, err := range f.Round(t.Context(), dry) {
			t.Error(err)
		}
		return liveHeap()
	}
	round(false)
	round(true) // what is made once is made: pools, caches, schemas
	first := round(true)
	second := round(true)
	t.Logf("answers: %v; the live heap grew by %d KiB", f.Codes, (second-first)>>10)
	if second-first > fuzzGrowth {
		t.Errorf("the live heap grew by %d KiB with requests that store nothing", (second-first)>>10)
	}
	if n := panics.Load(); n > 0 {
		t.Errorf("%d panics", n)
	}
	// A fuzzer that is refused at the door tests nothing.
	for code, least := range map[int]int{http.StatusCreated: 20, http.StatusOK: 50, http.StatusUnprocessableEntity: 200, http.StatusBadRequest: 300, http.StatusGatewayTimeout: 5} {
		if f.Codes[code] < least {
			t.Errorf("%d is answered %d times", code, f.Codes[code])
		}
	}
}

func liveHeap() int64 {
	time.Sleep(time.Second) // what was begun in the background ends
	goruntime.GC()
	goruntime.GC()
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
