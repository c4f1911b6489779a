package images

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Serve serves images on a listener by plain HTTP until stop is called, and returns
// when they can be pulled.
func Serve(ctx context.Context, ln net.Listener, images map[string]v1.Image) (stop func() error, err error) {
	srv := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: time.Minute}
	go srv.Serve(ln) //nolint:errcheck // it ends by Close
	for ref, img := range images {
		tag, err := name.NewTag(ln.Addr().String()+"/"+ref, name.Insecure)
		if err == nil {
			err = remote.Write(tag, img, remote.WithContext(ctx))
		}
		if err != nil {
			srv.Close()
			return nil, fmt.Errorf("serve image %s: %w", ref, err)
		}
	}
	return srv.Close, nil
}
