package csi

import (
	"context"
	"errors"
	"fmt"
	"time"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// callTimeout is within what a driver has to answer, as upstream's.
const callTimeout = 2 * time.Minute

// driver is one that has registered.
type driver struct{ name, endpoint string }

// call asks the driver's node service. The connection is the call's: one that was kept would
// wait for a driver that was replaced.
func (d driver) call(ctx context.Context, do func(context.Context, spec.NodeClient) error) error {
	conn, err := grpc.NewClient("unix:"+d.endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to CSI driver %s at %s: %w", d.name, d.endpoint, err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return do(ctx, spec.NewNodeClient(conn))
}

// capabilities are what a driver's node service can do beyond mounting.
type capabilities map[spec.NodeServiceCapability_RPC_Type]bool

func (c capabilities) stages() bool  { return c[spec.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME] }
func (c capabilities) expands() bool { return c[spec.NodeServiceCapability_RPC_EXPAND_VOLUME] }
func (c capabilities) counts() bool  { return c[spec.NodeServiceCapability_RPC_GET_VOLUME_STATS] }
func (c capabilities) groups() bool  { return c[spec.NodeServiceCapability_RPC_VOLUME_MOUNT_GROUP] }
func (c capabilities) singleNodeMultiWriter() bool {
	return c[spec.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER]
}

func (d driver) capabilities(ctx context.Context) (capabilities, error) {
	out := capabilities{}
	err := d.call(ctx, func(ctx context.Context, node spec.NodeClient) error {
		res, err := node.NodeGetCapabilities(ctx, &spec.NodeGetCapabilitiesRequest{})
		for _, c := range res.GetCapabilities() {
			if rpc := c.GetRpc(); rpc != nil {
				out[rpc.GetType()] = true
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask CSI driver %s what it can do: %w", d.name, err)
	}
	return out, nil
}

// isFinal says whether nothing was done, and nothing is being done any more, of a call that
// failed. Of any other one the outcome is not known.
func isFinal(err error) bool {
	var s interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &s) {
		return false
	}
	switch s.GRPCStatus().Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable, codes.ResourceExhausted, codes.Aborted:
		return false
	}
	return true
}

// isInfeasible says whether an expansion that failed would fail again.
func isInfeasible(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.OutOfRange, codes.NotFound:
		return true
	}
	return false
}
