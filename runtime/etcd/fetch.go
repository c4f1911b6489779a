package etcd

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/snapshot"
	"go.uber.org/zap"

	"github.com/gantry-run/gantry/runtime/config"
)

// Fetch writes a snapshot of the member at the first endpoint to a path, with its SHA-256
// at the end, as [Verify] and [Restore] read it.
func Fetch(ctx context.Context, c config.EtcdClient, path string) error {
	tls, err := transport.TLSInfo{CertFile: c.CertFile, KeyFile: c.KeyFile, TrustedCAFile: c.CAFile}.ClientConfig()
	if err != nil {
		return fmt.Errorf("read the store's credentials: %w", err)
	}
	_, err = snapshot.SaveWithVersion(ctx, zap.NewNop(), clientv3.Config{Endpoints: c.Endpoints[:1], TLS: tls, DialTimeout: answerTimeout, Logger: zap.NewNop()}, path)
	return err
}
