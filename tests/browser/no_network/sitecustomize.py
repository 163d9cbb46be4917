"""Python imports this at its start when the folder is on PYTHONPATH: server, kernels and what they start.

From then on the process reaches this machine alone, and what it asked for elsewhere is written into the file
that ELECTRA_TUTORIAL_ASKED names, so that asking inside a `try` is seen too.
"""
import ipaddress
import os
import socket


def is_here(host):
    host = host.decode() if isinstance(host, bytes) else host
    try:
        return host in (None, "", "localhost", socket.gethostname()) or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse(host):
    with open(os.environ["ELECTRA_TUTORIAL_ASKED"], "a") as file:
        file.write(f"{host}\n")
    raise OSError(f"Nothing may use the network here, and this asks for {host}.")


connect, resolve = socket.socket.connect, socket.getaddrinfo


def guarded(self, address):
    outside = self.family in (socket.AF_INET, socket.AF_INET6) and not is_here(address[0])
    return refuse(address[0]) if outside else connect(self, address)


def guarded_resolve(host, *rest, **more):
    return resolve(host, *rest, **more) if is_here(host) else refuse(host)


socket.socket.connect, socket.getaddrinfo = guarded, guarded_resolve
