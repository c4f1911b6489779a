package services

import (
	"context"
	"errors"
	"maps"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// kv is as much of etcd as the ledger uses: one map, reads of a range, and
// transactions that compare values and creation. Anything else panics.
type kv struct {
	clientv3.KV
	data map[string]string
	err  error
}

func (m *kv) read(op clientv3.Op) []*mvccpb.KeyValue {
	var out []*mvccpb.KeyValue
	from, to := string(op.KeyBytes()), string(op.RangeBytes())
	for k, v := range m.data {
		if k == from || to != "" && k >= from && k < to {
			out = append(out, &mvccpb.KeyValue{Key: []byte(k), Value: []byte(v)})
		}
	}
	return out
}

func (m *kv) Get(_ context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	if m.err != nil {
		return nil, m.err
	}
	return &clientv3.GetResponse{Kvs: m.read(clientv3.OpGet(key, opts...))}, nil
}

func (m *kv) Txn(context.Context) clientv3.Txn { return &txn{kv: m} }

type txn struct {
	kv              *kv
	compare         []clientv3.Cmp
	then, otherwise []clientv3.Op
}

func (x *txn) If(cs ...clientv3.Cmp) clientv3.Txn {
	x.compare = cs
	return x
}

func (x *txn) Then(ops ...clientv3.Op) clientv3.Txn {
	x.then = ops
	return x
}

func (x *txn) Else(ops ...clientv3.Op) clientv3.Txn {
	x.otherwise = ops
	return x
}

// holds reports whether the comparison holds. A key that is not there was created
// at revision 0, and its value equals none.
func (x *txn) holds(c clientv3.Cmp) bool {
	p := c.GetCompare()
	value, ok := x.kv.data[string(p.GetKey())]
	if p.GetResult() != pb.Compare_EQUAL {
		panic("compared otherwise than for equality")
	}
	switch p.GetTarget() {
	case pb.Compare_VALUE:
		return ok && value == string(p.GetValue())
	case pb.Compare_CREATE:
		return !ok == (p.GetCreateRevision() == 0)
	}
	panic("compared by " + p.GetTarget().String())
}

func (x *txn) Commit() (*clientv3.TxnResponse, error) {
	if x.kv.err != nil {
		return nil, x.kv.err
	}
	resp := &clientv3.TxnResponse{Succeeded: true}
	for _, c := range x.compare {
		resp.Succeeded = resp.Succeeded && x.holds(c)
	}
	ops := x.then
	if !resp.Succeeded {
		ops = x.otherwise
	}
	for _, op := range ops {
		r := &pb.ResponseOp{}
		switch {
		case op.IsPut():
			x.kv.data[string(op.KeyBytes())] = string(op.ValueBytes())
		case op.IsDelete():
			delete(x.kv.data, string(op.KeyBytes()))
		case op.IsGet():
			r.Response = &pb.ResponseOp_ResponseRange{ResponseRange: &pb.RangeResponse{Kvs: x.kv.read(op)}}
		}
		resp.Responses = append(resp.Responses, r)
	}
	return resp, nil
}

func TestLedger(t *testing.T) {
	for _, prefix := range []string{"/gantry/services", "/gantry/services/"} {
		store := &kv{data: map[string]string{"/gantry/services-of-others/port/30001": "x", "/registry/services/a": "y"}}
		l := NewLedger(&clientv3.Client{KV: store}, prefix)
		steps := []struct {
			name string
			do   func(context.Context) (bool, error)
			want bool
			held map[string]string
		}{
			{"the first reserves", func(ctx context.Context) (bool, error) { return l.Reserve(ctx, "port/30001", "a") }, true, map[string]string{"port/30001": "a"}},
			{"it may again", func(ctx context.Context) (bool, error) { return l.Reserve(ctx, "port/30001", "a") }, true, map[string]string{"port/30001": "a"}},
			{"another may not", func(ctx context.Context) (bool, error) { return l.Reserve(ctx, "port/30001", "b") }, false, map[string]string{"port/30001": "a"}},
			{"but another key", func(ctx context.Context) (bool, error) { return l.Reserve(ctx, "ip/10.0.0.1", "b") }, true, map[string]string{"port/30001": "a", "ip/10.0.0.1": "b"}},
			{"another cannot release", func(ctx context.Context) (bool, error) { return true, l.Release(ctx, "port/30001", "b") }, true, map[string]string{"port/30001": "a", "ip/10.0.0.1": "b"}},
			{"the owner can", func(ctx context.Context) (bool, error) { return true, l.Release(ctx, "port/30001", "a") }, true, map[string]string{"ip/10.0.0.1": "b"}},
			{"twice", func(ctx context.Context) (bool, error) { return true, l.Release(ctx, "port/30001", "a") }, true, map[string]string{"ip/10.0.0.1": "b"}},
			{"then another reserves", func(ctx context.Context) (bool, error) { return l.Reserve(ctx, "port/30001", "b") }, true, map[string]string{"port/30001": "b", "ip/10.0.0.1": "b"}},
		}
		for _, s := range steps {
			if ok, err := s.do(t.Context()); ok != s.want || err != nil {
				t.Errorf("%s: %v, %v", s.name, ok, err)
			}
			if held, err := l.All(t.Context()); !maps.Equal(held, s.held) || err != nil {
				t.Errorf("%s: held %v, %v", s.name, held, err)
			}
		}
		if store.data["/gantry/services/port/30001"] != "b" || len(store.data) != 4 {
			t.Errorf("prefix %s: %v", prefix, store.data)
		}
	}
}

func TestLedgerWithoutAnswers(t *testing.T) {
	away := errors.New("no answer")
	l := NewLedger(&clientv3.Client{KV: &kv{err: away}}, "/gantry/services")
	if ok, err := l.Reserve(t.Context(), "port/30001", "a"); ok || !errors.Is(err, away) {
		t.Errorf("reserve: %v, %v", ok, err)
	}
	if err := l.Release(t.Context(), "port/30001", "a"); !errors.Is(err, away) {
		t.Errorf("release: %v", err)
	}
	if all, err := l.All(t.Context()); all != nil || !errors.Is(err, away) {
		t.Errorf("all: %v, %v", all, err)
	}
}
