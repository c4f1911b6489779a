// Command standin takes the place of a program whose image cannot be had, in the manifests
// of somebody else. It listens where they say the program does, and answers what the
// kubelet and the API server ask there: probes, admission reviews (everything is allowed),
// conversions (of nothing but the version), and the discovery of a group without resources.
//
//	standin serve PORT...   until it is told to end; IDENTITY has its certificate and key, PEM
//	standin true            ends at once, and well
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "true":
		return nil
	case len(args) > 0 && args[0] == "serve":
		return serve(ctx, args[1:])
	}
	return errors.New("usage: standin serve PORT... | standin true")
}

func serve(ctx context.Context, ports []string) error {
	var identity *tls.Config
	if text := os.Getenv("IDENTITY"); text != "" {
		pair, err := tls.X509KeyPair([]byte(text), []byte(text))
		if err != nil {
			return fmt.Errorf("IDENTITY: %w", err)
		}
		identity = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	server := &http.Server{Handler: http.HandlerFunc(answer), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, len(ports))
	for _, port := range ports {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+port)
		if err != nil {
			return err
		}
		fmt.Println("listening on", listener.Addr())
		go func() { failed <- server.Serve(either{listener, identity}) }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

// either accepts connections with TLS and without.
type either struct {
	net.Listener
	identity *tls.Config
}

// Accept implements net.Listener. Which of the two it is shows with the first byte that is read.
func (e either) Accept() (net.Conn, error) {
	conn, err := e.Listener.Accept()
	if err != nil || e.identity == nil {
		return conn, err
	}
	return &undecided{Conn: conn, identity: e.identity}, nil
}

// undecided is a connection of which nothing was read yet. The server reads before it
// writes, from one goroutine.
type undecided struct {
	net.Conn
	identity *tls.Config
	decided  net.Conn
}

const handshake = 22 // the first byte of a TLS record that begins one

func (u *undecided) Read(b []byte) (int, error) {
	if u.decided == nil {
		buffered := bufio.NewReader(u.Conn)
		first, err := buffered.Peek(1)
		if err != nil {
			return 0, err
		}
		u.decided = peeked{u.Conn, buffered}
		if first[0] == handshake {
			u.decided = tls.Server(u.decided, u.identity)
		}
	}
	return u.decided.Read(b)
}

func (u *undecided) Write(b []byte) (int, error) {
	if u.decided == nil {
		return u.Conn.Write(b)
	}
	return u.decided.Write(b)
}

type peeked struct {
	net.Conn
	buffered io.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.buffered.Read(b) }

// object is any object of the API.
type object = map[string]any

// answer answers a request by what is in its body, or by its path.
func answer(w http.ResponseWriter, r *http.Request) {
	var body object
	if r.Method == http.MethodPost && json.NewDecoder(r.Body).Decode(&body) == nil {
		request, _ := body["request"].(object)
		switch body["kind"] {
		case "AdmissionReview":
			body["response"] = object{"uid": request["uid"], "allowed": true}
		case "ConversionReview":
			body["response"] = converted(request)
		}
		delete(body, "request")
		write(w, body)
		return
	}
	if path := strings.Split(strings.Trim(r.URL.Path, "/"), "/"); len(path) == 3 && path[0] == "apis" {
		write(w, object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": path[1] + "/" + path[2], "resources": []any{}})
		return
	}
	fmt.Fprintln(w, "ok")
}

func write(w http.ResponseWriter, o object) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(o) //nolint:errcheck // the client has gone
}

// converted gives each object the version that is asked for.
func converted(request object) object {
	objects, _ := request["objects"].([]any)
	for _, o := range objects {
		if o, ok := o.(object); ok {
			o["apiVersion"] = request["desiredAPIVersion"]
		}
	}
	return object{"uid": request["uid"], "convertedObjects": objects, "result": object{"status": "Success"}}
}
