package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

<<<<<<< HEAD
// serve answers on a port until SIGTERM, then finishes what is under way. /break
// makes /healthz fail from then on.
func serve(ctx context.Context, args []string) error {
	port := "8080"
	if len(args) > 0 {
		port = args[0]
=======
// serve answers on port 8080 (or HELLO_LISTEN_PORT) until SIGTERM, then finishes what is
// under way. /break makes /healthz fail from then on.
func serve(ctx context.Context, _ []string) error {
	port := os.Getenv("HELLO_LISTEN_PORT")
	if port == "" {
		port = "8080"
>>>>>>> perf
	}
	var broken atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		peer, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "pod=%s node=%s client=%s\n", os.Getenv("POD_NAME"), os.Getenv("NODE_NAME"), peer)
		fmt.Printf("%s %s from %s\n", r.Method, r.URL.Path, peer)
	})
	mux.HandleFunc("/break", func(http.ResponseWriter, *http.Request) { broken.Store(true) })
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			http.Error(w, "broken", http.StatusInternalServerError)
		}
	})
	srv := &http.Server{Addr: ":" + port, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		srv.Shutdown(drain) //nolint:errcheck // the process ends
	}()
	fmt.Println("serving on :" + port)
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// get asks a URL n times, each over a connection of its own.
func get(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("get", flag.ContinueOnError)
	n := flags.Int("n", 1, "how many times")
	if err := flags.Parse(args); err != nil {
		return err
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range *n {
		if err := print(ctx, client, flags.Arg(0), ""); err != nil {
			return err
		}
	}
	return nil
}

func print(ctx context.Context, client *http.Client, url, token string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if token != "" {
		fmt.Println(resp.Status)
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

func lookup(ctx context.Context, args []string) error {
	for _, name := range args {
		addresses, err := net.DefaultResolver.LookupHost(ctx, name)
		if err != nil {
			return err
		}
		fmt.Println(name, addresses)
	}
	return nil
}

// api asks as any client inside a cluster does: by the projected token and CA.
func api(ctx context.Context, args []string) error {
	const dir = "/var/run/secrets/kubernetes.io/serviceaccount"
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	server := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	for _, path := range args {
		if err := print(ctx, client, "https://"+server+path, string(token)); err != nil {
			return err
		}
	}
	return nil
}
