package apiserver

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/gantry-run/gantry/runtime/apiserver/flowcontrol"
	"github.com/gantry-run/gantry/runtime/apiserver/poststarthook"
	"github.com/gantry-run/gantry/runtime/apiserver/rbac"
	"github.com/gantry-run/gantry/runtime/apiserver/reconcilers"
	"github.com/gantry-run/gantry/runtime/apiserver/registry"
	"github.com/gantry-run/gantry/runtime/apiserver/services"
)

const (
	// settle is the time the cluster's first objects have to be written before the
	// server gives up; etcd may have no leader yet when it starts.
	settle = time.Minute
	// leaveTimeout bounds taking this master off the list.
	leaveTimeout = 5 * time.Second
)

// hooks are what the server does once it listens. /readyz succeeds when the
// cluster's first objects exist and this master is on the list.
func (s *Server) hooks(ctx context.Context, srv *genericapiserver.GenericAPIServer, a *assembly) error {
	port, err := strconv.ParseInt(portOf(s.cfg.BindAddress), 10, 32)
	if err != nil {
		return fmt.Errorf("bindAddress: %w", err)
	}
	self, err := netip.ParseAddr(s.cfg.AdvertiseAddress)
	if err != nil {
		return fmt.Errorf("advertiseAddress: %w", err)
	}
	first := services.First(s.cfg.ServiceCIDRs)
	endpoints := reconcilers.NewLeaseEndpoints(a.etcd, mastersPrefix, self, int32(port), a.loopback, s.log)
	schemas, err := flowcontrol.New(a.loopback.FlowcontrolV1(), a.generic.SharedInformerFactory, s.log)
	if err != nil {
		return fmt.Errorf("flow schemas: %w", err)
	}
	clientCA, err := os.ReadFile(s.cfg.ClientCAFile)
	if err != nil {
		return fmt.Errorf("client CA: %w", err)
	}
	authentication, err := poststarthook.NewAuthentication(a.loopback, clientCA, a.generic.Authentication.RequestHeaderConfig, s.log)
	if err != nil {
		return err
	}
	left := make(chan struct{})

	err = srv.AddPostStartHook("gantry-bootstrap", hookFunc(func(context.Context) error {
		for _, step := range []struct {
			what string
			do   func(context.Context) error
		}{
			{"wait for the roles", func(context.Context) error {
				if !a.roles.Synced() {
					return fmt.Errorf("roles are not read yet")
				}
				return nil
			}},
			{"write the roles", func(context.Context) error { return rbac.Reconcile(rbac.BootstrapPolicy(), a.loopback) }},
			{"write the flow schemas", schemas.Ensure},
			{"write the cluster's first objects", func(ctx context.Context) error {
				return poststarthook.EnsureObjects(ctx, a.loopback, s.cfg, first, int32(port))
			}},
			{"publish how clients are known", authentication.Ensure},
		} {
			err := s.untilDone(ctx, step.what, step.do)
			if ctx.Err() != nil { // told to end: a hook that fails would end the process at once
				close(left)
				return nil //nolint:nilerr // that it was told to end is all that is wrong
			}
			if err != nil {
				close(left)
				return err
			}
		}
		go schemas.Run(ctx)
		go authentication.Run(ctx)
		go a.roles.Aggregate(ctx, a.loopback.RbacV1().ClusterRoles(), s.log)
		go a.addresses.Repair(ctx, a.listServices, s.log)
		joined := make(chan struct{})
		go func() { defer close(left); endpoints.Run(ctx, joined) }()
		select {
		case <-joined:
		case <-ctx.Done():
		}
		return nil
	}))
	if err != nil {
		return err
	}
	return srv.AddPreShutdownHook("gantry-leave", func() error {
		select {
		case <-left:
			return nil
		case <-time.After(leaveTimeout):
			return fmt.Errorf("this master was not taken off the list within %s", leaveTimeout)
		}
	})
}

// untilDone repeats what until it succeeds, for at most settle.
func (s *Server) untilDone(ctx context.Context, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		s.log.Debug("not yet", "step", what, "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (a *assembly) listServices(ctx context.Context) ([]corev1.Service, error) {
	list, err := registry.ListWhere[*corev1.ServiceList](ctx, a.objects.services, "", nil, registry.Fresh)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}
