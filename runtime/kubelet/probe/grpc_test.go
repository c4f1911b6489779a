package probe

import (
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
)

func TestGRPCCheck(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, state := grpc.NewServer(), health.NewServer()
	healthpb.RegisterHealthServer(srv, state)
	go srv.Serve(ln) //nolint:errcheck // stopped below
	defer srv.Stop()
	state.SetServingStatus("good", healthpb.HealthCheckResponse_SERVING)
	state.SetServingStatus("bad", healthpb.HealthCheckResponse_NOT_SERVING)
	port := int32(ln.Addr().(*net.TCPAddr).Port)
	for service, want := range map[string]string{"": "", "good": "", "bad": "NOT_SERVING", "none": "NotFound"} {
		err := grpcCheck(t.Context(), &corev1.GRPCAction{Port: port, Service: &service}, Target{IP: "127.0.0.1"})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("service %q: %v, want %q", service, err, want)
		}
	}
}
