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
	start, left, err := s.startHooks(a)
	if err != nil {
		return err
	}
	if err := start.register(ctx, srv, s.log, func() { close(left) }); err != nil {
		return err
	}
	if err := srv.AddPostStartHook("storage-readiness", srv.StorageReadinessHook.Hook); err != nil {
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

// startHooks are the steps of the start. left is closed once this master is on no list,
// by the last step, or else by who runs them.
func (s *Server) startHooks(a *assembly) (steps startHooks, left chan struct{}, err error) {
	number, err := strconv.ParseInt(portOf(s.cfg.BindAddress), 10, 32)
	if err != nil {
		return nil, nil, fmt.Errorf("bindAddress: %w", err)
	}
	port := int32(number)
	self, err := netip.ParseAddr(s.cfg.AdvertiseAddress)
	if err != nil {
		return nil, nil, fmt.Errorf("advertiseAddress: %w", err)
	}
	first := services.First(s.cfg.ServiceCIDRs)
	endpoints := reconcilers.NewLeaseEndpoints(a.etcd, mastersPrefix, self, port, a.loopback, s.log)
	schemas, err := flowcontrol.New(a.loopback.FlowcontrolV1(), a.generic.SharedInformerFactory, s.log)
	if err != nil {
		return nil, nil, fmt.Errorf("flow schemas: %w", err)
	}
	clientCA, err := os.ReadFile(s.cfg.ClientCAFile)
	if err != nil {
		return nil, nil, fmt.Errorf("client CA: %w", err)
	}
	authentication, err := poststarthook.NewAuthentication(a.loopback, clientCA, a.generic.Authentication.RequestHeaderConfig, s.log)
	if err != nil {
		return nil, nil, err
	}
	left = make(chan struct{})
	return startHooks{
		{name: "rbac/bootstrap-roles", ensure: func(context.Context) error {
			if !a.roles.Synced() {
				return fmt.Errorf("roles are not read yet")
			}
			return rbac.Reconcile(rbac.BootstrapPolicy(), a.loopback)
		}, then: func(ctx context.Context) { a.roles.Aggregate(ctx, a.loopback.RbacV1().ClusterRoles(), s.log) }},
		{name: "priority-and-fairness-config-producer", ensure: schemas.Ensure, then: schemas.Run},
		{name: "start-system-namespaces-controller", ensure: func(ctx context.Context) error { return poststarthook.Namespaces(ctx, a.loopback) }},
		{name: "gantry-cluster", ensure: func(ctx context.Context) error { return poststarthook.Cluster(ctx, a.loopback, s.cfg) }},
		{name: "start-service-ip-repair-controllers", ensure: func(ctx context.Context) error {
			return poststarthook.ServiceRanges(ctx, a.loopback, s.cfg)
		}, then: func(ctx context.Context) { a.addresses.Repair(ctx, a.listServices, s.log) }},
		{name: "scheduling/bootstrap-system-priority-classes", ensure: func(ctx context.Context) error { return poststarthook.PriorityClasses(ctx, a.loopback) }},
		{name: "start-cluster-authentication-info-controller", ensure: authentication.Ensure, then: authentication.Run},
		{name: "bootstrap-controller", ensure: func(ctx context.Context) error {
			return poststarthook.Services(ctx, a.loopback, s.cfg, first, port)
		}, joins: func(ctx context.Context, joined chan<- struct{}) {
			defer close(left)
			endpoints.Run(ctx, joined)
		}},
	}, left, nil
}

func (a *assembly) listServices(ctx context.Context) ([]corev1.Service, error) {
	list, err := registry.ListWhere[*corev1.ServiceList](ctx, a.objects.services, "", nil, registry.Fresh)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}
