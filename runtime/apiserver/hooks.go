package apiserver

import (
	"context"

	genericapiserver "k8s.io/apiserver/pkg/server"
)

// hooks are what the server does once it listens.
func (s *Server) hooks(ctx context.Context, srv *genericapiserver.GenericAPIServer, a *assembly) error {
	return nil
}
