package check

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// gRPC's health protocol (grpc/health/v1/health.proto) is one unary call with a
// string in and a number out. net/http speaks HTTP/2; the rest is in this file,
// since google.golang.org/grpc would be by far the largest dependency here.

// maxHealth bounds the answer: a status takes two bytes.
const maxHealth = 4096

// healthStatus is HealthCheckResponse.ServingStatus.
var healthStatus = [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

// askHealth is the gRPC probe: the target says that the service is SERVING.
func askHealth(ctx context.Context, spec Spec) error {
	transport, err := transportTo(spec)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP2(spec.TLS.On)
	transport.Protocols.SetUnencryptedHTTP2(!spec.TLS.On)
	scheme := "http"
	if spec.TLS.On {
		scheme = "https"
		transport.TLSClientConfig.NextProtos = []string{"h2"}
	}
	u := url.URL{Scheme: scheme, Host: spec.Target.String(), Path: "/grpc.health.v1.Health/Check"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(healthRequest(spec.Name)))
	if err != nil {
		return err
	}
	req.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "User-Agent": {"harmony-check"}}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %d instead of an answer in gRPC", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	if err != nil {
		return err
	}
	if err := grpcStatus(resp); err != nil {
		return err
	}
	status, err := parseHealth(body)
	if err == nil && status != 1 {
		err = fmt.Errorf("%s", statusName(status))
	}
	return err
}

// grpcStatus is the status of the call: in the trailers, or among the headers
// of an answer without body.
func grpcStatus(resp *http.Response) error {
	for _, h := range []http.Header{resp.Trailer, resp.Header} {
		switch code := h.Get("Grpc-Status"); code {
		case "":
		case "0":
			return nil
		case "5":
			return errors.New("SERVICE_UNKNOWN")
		case "12":
			return errors.New("the server does not speak grpc.health.v1")
		default:
			return fmt.Errorf("gRPC status %.3q", code)
		}
	}
	return errors.New("an answer without gRPC status")
}

func statusName(status uint64) string {
	if status < uint64(len(healthStatus)) {
		return healthStatus[status]
	}
	return fmt.Sprintf("health status %d", status)
}

// healthRequest is a HealthCheckRequest (field 1: the service) in gRPC's frame:
// a byte for compression, four for the length.
func healthRequest(service string) []byte {
	var message []byte
	if service != "" {
		message = append(message, 1<<3|2)
		message = binary.AppendUvarint(message, uint64(len(service)))
		message = append(message, service...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// errHealth is what is said of an answer that is not a HealthCheckResponse.
var errHealth = errors.New("an answer that is not of grpc.health.v1")

// parseHealth returns the status (field 1) of a HealthCheckResponse in gRPC's
// frame; it is 0 where the message leaves it out. Unknown fields are skipped,
// and of a field that is there twice the last counts, as protobuf has it.
func parseHealth(frame []byte) (status uint64, err error) {
	if len(frame) < 5 || frame[0] != 0 || uint64(len(frame)-5) != uint64(binary.BigEndian.Uint32(frame[1:])) {
		return 0, errHealth
	}
	for b := frame[5:]; len(b) > 0; {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, errHealth
		}
		b = b[n:]
		value, size, ok := protoField(key&7, b)
		if !ok {
			return 0, errHealth
		}
		if key == 1<<3 {
			status = value
		}
		b = b[size:]
	}
	return status, nil
}

// protoField returns the value of a number and the size of a field of a wire
// type, which b begins with.
func protoField(wire uint64, b []byte) (value uint64, size int, ok bool) {
	switch wire {
	case 0: // number
		value, n := binary.Uvarint(b)
		return value, n, n > 0
	case 1: // 64 bits
		size = 8
	case 2: // length and bytes
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return 0, 0, false
		}
		size = n + int(length)
	case 5: // 32 bits
		size = 4
	default:
		return 0, 0, false
	}
	return 0, size, size <= len(b)
}
