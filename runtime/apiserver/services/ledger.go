package services

import (
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Ledger records who holds what. It is safe for use by many servers at once.
type Ledger interface {
	// Reserve gives key to owner. It reports false when another holds it; that
	// owner holds it already is no error.
	Reserve(ctx context.Context, key, owner string) (bool, error)
	// Release takes key back from owner, and does nothing if another holds it.
	Release(ctx context.Context, key, owner string) error
	// Owner returns who holds key, "" for nobody.
	Owner(ctx context.Context, key string) (string, error)
	// All returns the owner of every key.
	All(ctx context.Context) (map[string]string, error)
}

// etcdLedger keeps each reservation as a key below prefix.
type etcdLedger struct {
	client *clientv3.Client
	prefix string
}

// NewLedger returns a ledger whose keys begin with prefix.
func NewLedger(c *clientv3.Client, prefix string) Ledger {
	return &etcdLedger{c, strings.TrimSuffix(prefix, "/") + "/"}
}

func (l *etcdLedger) Reserve(ctx context.Context, key, owner string) (bool, error) {
	k := l.prefix + key
	resp, err := l.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(k), "=", 0)).
		Then(clientv3.OpPut(k, owner)).
		Else(clientv3.OpGet(k)).Commit()
	if err != nil {
		return false, fmt.Errorf("reserve %s: %w", key, err)
	}
	if resp.Succeeded {
		return true, nil
	}
	kvs := resp.Responses[0].GetResponseRange().Kvs
	return len(kvs) == 1 && string(kvs[0].Value) == owner, nil
}

func (l *etcdLedger) Release(ctx context.Context, key, owner string) error {
	k := l.prefix + key
	_, err := l.client.Txn(ctx).If(clientv3.Compare(clientv3.Value(k), "=", owner)).Then(clientv3.OpDelete(k)).Commit()
	if err != nil {
		return fmt.Errorf("release %s: %w", key, err)
	}
	return nil
}

func (l *etcdLedger) Owner(ctx context.Context, key string) (string, error) {
	resp, err := l.client.Get(ctx, l.prefix+key)
	if err != nil {
		return "", fmt.Errorf("look who holds %s: %w", key, err)
	}
	if len(resp.Kvs) == 0 {
		return "", nil
	}
	return string(resp.Kvs[0].Value), nil
}

func (l *etcdLedger) All(ctx context.Context) (map[string]string, error) {
	resp, err := l.client.Get(ctx, l.prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("list reservations: %w", err)
	}
	out := make(map[string]string, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		out[strings.TrimPrefix(string(kv.Key), l.prefix)] = string(kv.Value)
	}
	return out, nil
}
