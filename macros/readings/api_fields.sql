{# The known fields of a call in Ringostat's API. #}
{% macro api_fields() %}
    {{ return([
        'additional_number', 'billsec', 'call_card', 'call_counter', 'call_type', 'calldate', 'caller',
        'caller_number', 'category_mark', 'category_number', 'client_id', 'connected_with',
        'department', 'disposition', 'dst', 'duration', 'duration_ms', 'employee_fio',
        'employee_mark', 'employee_number', 'has_recording', 'landing', 'n_alias', 'pool_name',
        'proper_flag', 'recording', 'recording_wav', 'refferrer', 'remote_ip', 'repeated_flag',
        'scheme_name', 'unique_call', 'uniqueid', 'utm_campaign', 'utm_content', 'utm_medium',
        'utm_source', 'utm_term', 'waittime',
    ]) }}
{% endmacro %}
