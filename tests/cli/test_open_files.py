import resource

from service.cli.open_files import allow_many_files


def test_a_process_may_open_as_many_files_as_it_has_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    try:
        allow_many_files()

        allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert most == hard
    assert allowed == (8192 if hard == resource.RLIM_INFINITY else min(8192, hard))
