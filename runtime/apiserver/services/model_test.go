package services

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/addr"
)

// memory is a ledger in memory. failing, if set, is asked before each call.
type memory struct {
	mu      sync.Mutex
	held    map[string]string
	failing func(call string) error
	calls   []string
}

func newMemory(held map[string]string) *memory {
	m := &memory{held: map[string]string{}}
	maps.Copy(m.held, held)
	return m
}

func (m *memory) begin(ctx context.Context, format string, args ...any) error {
	call := fmt.Sprintf(format, args...)
	m.calls = append(m.calls, call)
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.failing != nil {
		return m.failing(call)
	}
	return nil
}

func (m *memory) Reserve(ctx context.Context, key, owner string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, "reserve %s", key); err != nil {
		return false, err
	}
	if have, ok := m.held[key]; ok {
		return have == owner, nil
	}
	m.held[key] = owner
	return true, nil
}

func (m *memory) Release(ctx context.Context, key, owner string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, "release %s", key); err != nil {
		return err
	}
	if m.held[key] == owner {
		delete(m.held, key)
	}
	return nil
}

func (m *memory) Owner(ctx context.Context, key string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, "owner %s", key); err != nil {
		return "", err
	}
	return m.held[key], nil
}

func (m *memory) All(ctx context.Context) (map[string]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, "all"); err != nil {
		return nil, err
	}
	return maps.Clone(m.held), nil
}

// names are the keys that are held, in order.
func (m *memory) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.held))
}

// sequence returns the numbers one after the other, and the last one ever after.
func sequence(t *testing.T, numbers ...int64) func(int64) int64 {
	return func(n int64) int64 {
		v := numbers[0]
		if len(numbers) > 1 {
			numbers = numbers[1:]
		}
		if v >= n {
			t.Errorf("%d is not below %d", v, n)
		}
		return v
	}
}

// allocator gives 10.0.0.1 (by name only) to 10.0.0.6 and ports 30000 to 30004.
func allocator(t *testing.T, l Ledger, random func(int64) int64) *Allocator {
	t.Helper()
	a, err := New(addr.MustPrefixes("10.0.0.0/29"), "30000-30004", addr.MustIPs("10.0.0.1"), l, random)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// service is team/web with UID 1.
func service(spec corev1.ServiceSpec) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web", UID: types.UID("1")}, Spec: spec}
}

// ours is how the ledger names service's owner.
const ours = "team/web/1"

func port(number int32, protocol corev1.Protocol, nodePort int32) corev1.ServicePort {
	return corev1.ServicePort{Port: number, Protocol: protocol, NodePort: nodePort}
}
